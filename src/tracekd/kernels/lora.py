"""A linear layer and its LoRA adapter as one function."""

from functools import partial
from typing import Any

import torch

#: Elements in the pool of dropout masks.
_POOL = 1 << 24


class DropoutMasks:
    """Dropout masks cut out of a pool of random ones, at a random offset.

    Drawing a random number per element is a fifth of a training step on a CPU, since LoRA drops
    the inputs of seven matrices a layer. The pool is a function of the seed alone and the offset
    comes from torch's generator, so a run that is resumed sees the masks that it would have seen.
    """

    def __init__(self, seed: int) -> None:
        """Draw the pool from `seed` when it is first needed."""
        self._seed = seed
        self._pools: dict[tuple[float, torch.dtype, torch.device], torch.Tensor] = {}

    def draw(self, probability: float, like: torch.Tensor) -> torch.Tensor:
        """Return a mask shaped as `like`: 0 with `probability`, else 1 / (1 - probability)."""
        spare = _POOL - like.numel()
        if spare < _POOL // 2:  # two masks would overlap too often
            return torch.nn.functional.dropout(torch.ones_like(like), probability)
        start = int(torch.randint(spare, ()))
        return self._pool(probability, like)[start : start + like.numel()].view(like.shape)

    def _pool(self, probability: float, like: torch.Tensor) -> torch.Tensor:
        key = (probability, like.dtype, like.device)
        if key not in self._pools:
            generator = torch.Generator().manual_seed(self._seed)
            kept = torch.rand(_POOL, generator=generator) >= probability
            self._pools[key] = (kept / (1 - probability)).to(like.device, like.dtype)
        return self._pools[key]


class LoraLinear(torch.autograd.Function):
    """y = W x + b + s B A (m x): gradients for x, A and B; W and b are frozen.

    Shapes: x [N, in], m as x or None, W [out, in], b [out] or None, A [rank, in], B [out, rank].
    A and B may be kept in fp32 while x and W are in bf16: products are in x's format, and the
    gradients of A and B in theirs.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        weight: torch.Tensor,
        bias: torch.Tensor | None,
        a: torch.Tensor,
        b: torch.Tensor,
        scale: float,
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """Return the output; see the class."""
        down, up = a.to(x.dtype), b.to(x.dtype)
        hidden = ((x if mask is None else x * mask) @ down.t()).mul_(scale)
        # The small product first: the large one adds to it while it writes.
        y = (hidden @ up.t()).addmm_(x, weight.t())
        if bias is not None:
            y.add_(bias)
        ctx.save_for_backward(x, weight, down, up, hidden, mask)
        ctx.scale, ctx.adapter_dtype = scale, a.dtype
        return y

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the arguments for that of the output."""
        (g,) = gradients
        x, weight, down, up, hidden, mask = ctx.saved_tensors
        g_hidden = (g @ up).mul_(ctx.scale)
        g_b = g.t() @ hidden
        g_a = g_hidden.t() @ (x if mask is None else x * mask)
        g_x = None
        if ctx.needs_input_grad[0]:
            g_x = g_hidden @ down
            g_x = (g_x if mask is None else g_x.mul_(mask)).addmm_(g, weight)
        dtype = ctx.adapter_dtype
        return g_x, None, None, g_a.to(dtype), g_b.to(dtype), None, None


def lora_linear(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    a: torch.Tensor,
    b: torch.Tensor,
    scale: float,
    mask: torch.Tensor | None = None,
) -> torch.Tensor:
    """Return weight x + bias + scale * b a (mask * x) for `x` of shape [..., in].

    Source of the formula: Hu et al. 2021 (arXiv 2106.09685), section 4.1.

    Args:
        x: see above.
        weight: [out, in]; neither it nor the bias gets a gradient.
        bias: [out] or None.
        a: [rank, in].
        b: [out, rank].
        scale: alpha / rank, as a rule.
        mask: shaped as `x`; None: 1.
    """
    rows = x.reshape(-1, x.shape[-1])
    rows_mask = None if mask is None else mask.reshape(rows.shape)
    y: torch.Tensor = LoraLinear.apply(  # type: ignore[no-untyped-call]
        rows, weight, bias, a, b, scale, rows_mask
    )
    return y.view(*x.shape[:-1], -1)


def is_plain_lora(module: Any) -> bool:
    """Say whether `module` is one adapter of PEFT's LoRA, without variants, on a linear layer."""
    from peft.tuners.lora import Linear

    plain = isinstance(module, Linear) and type(module.base_layer) is torch.nn.Linear
    return plain and len(module.active_adapters) == 1 and not module.lora_variant


def dropout_of(module: Any) -> float:
    """Return the dropout of a plain LoRA layer; without it, PEFT has an Identity there."""
    return float(getattr(module.lora_dropout[module.active_adapters[0]], "p", 0.0))


def fuse_lora(module: Any, masks: DropoutMasks) -> None:
    """Let `module` compute by `lora_linear` if it is a plain LoRA layer."""
    if is_plain_lora(module):
        module.forward = partial(_forward, module, module.active_adapters[0], masks)


def _forward(module: Any, name: str, masks: DropoutMasks, x: torch.Tensor) -> torch.Tensor:
    probability = dropout_of(module)
    mask = masks.draw(probability, x) if module.training and probability > 0 else None
    base, a, b = module.base_layer, module.lora_A[name].weight, module.lora_B[name].weight
    return lora_linear(x, base.weight, base.bias, a, b, module.scaling[name], mask)
