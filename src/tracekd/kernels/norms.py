"""Root mean square normalisation as one function."""

from functools import partial
from typing import Any

import torch

from tracekd.kernels import native

#: Layers of transformers that compute x / sqrt(mean(x^2) + eps) * weight.
_LAYERS = {"LlamaRMSNorm", "Qwen3RMSNorm"}


class RmsNorm(torch.autograd.Function):
    """y = w x r with r = 1 / sqrt(mean(x^2) + eps) in fp32 at least; a gradient for x only.

    With n = x r, of width d:  dx = r (w g - n mean(w g n)).
    """

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
        """Return the output; see the class."""
        ctx.native = native.takes(x, weight)
        if ctx.native:
            y, normal, r = native.rms_norm(x, weight, eps)
            ctx.save_for_backward(normal, weight, r)
            return y
        # Mixed formats would be cast in every operation; one cast each way is half the passes.
        exact = x.to(torch.promote_types(x.dtype, torch.float32), copy=True)
        length = torch.linalg.vector_norm(exact, dim=-1, keepdim=True)
        r = length.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        normal = exact.mul_(r).to(x.dtype)
        ctx.save_for_backward(normal, weight, r)
        return normal * weight

    @staticmethod
    def backward(
        ctx: Any, *gradients: torch.Tensor, more: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, None, None]:
        """Return the gradients of the arguments for that of the output; `more` is added to x's."""
        normal, weight, r = ctx.saved_tensors
        if ctx.native:
            return native.rms_norm_back(gradients[0], weight, normal, r, more), None, None
        g = gradients[0] * weight
        mean = (g * normal).sum(-1, keepdim=True, dtype=r.dtype).div_(normal.shape[-1])
        g.addcmul_(normal, mean.to(g.dtype), value=-1)
        torch.mul(g, r, out=g)
        return g if more is None else g.add_(more), None, None


def rms_norm(x: torch.Tensor, weight: torch.Tensor, eps: float) -> torch.Tensor:
    """Return `x` [..., width] divided by its root mean square and scaled by `weight` [width].

    Source: Zhang and Sennrich 2019 (arXiv 1910.07467).
    """
    normalised: torch.Tensor = RmsNorm.apply(x, weight, eps)  # type: ignore[no-untyped-call]
    return normalised


def is_plain_norm(module: Any) -> bool:
    """Say whether `module` is one of the known layers, with frozen weights."""
    return type(module).__name__ in _LAYERS and not module.weight.requires_grad


def fuse_norm(module: Any) -> None:
    """Let `module` compute by `rms_norm` if it is a plain norm."""
    if is_plain_norm(module):
        module.forward = partial(_forward, module)


def _forward(module: Any, x: torch.Tensor) -> torch.Tensor:
    return rms_norm(x, module.weight, module.variance_epsilon)
