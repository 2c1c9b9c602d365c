"""Output head and cross entropy as one function, a few positions at a time."""

from functools import partial
from typing import Any

import torch
from torch.nn.functional import pad

from tracekd.kernels import native

#: Layers of transformers whose model computes logits as `lm_head(hidden)`, and nothing else.
_MODELS = {"LlamaForCausalLM", "Qwen3ForCausalLM"}
#: Logits that are in memory at a time: 64 MiB of them in fp32.
_LOGITS = 1 << 24
#: Rows are filled up with zeros to a multiple of this: a CPU's library makes code for a product of
#: a new size when it first meets it, and that takes as long as the product.
_ROWS = 16


class _HeadLosses(torch.autograd.Function):
    """Cross entropy of each row of `hidden` [N, D] with `weight` [V, D] and `targets` [N].

    A token's loss depends on its own row alone, so the gradient of that row is known as soon as
    its logits are; they need not be kept. Source of the idea: Hsu et al. 2024 (arXiv 2410.10989).
    """

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor
    ) -> torch.Tensor:
        rows, fill = len(hidden), -len(hidden) % _ROWS
        hidden, targets = pad(hidden, (0, 0, 0, fill)), pad(targets, (0, fill))
        losses = torch.empty(len(hidden), dtype=torch.float32, device=hidden.device)
        slopes = torch.empty_like(hidden) if ctx.needs_input_grad[0] else None
        size = max(1, _LOGITS // len(weight))
        for start in range(0, len(hidden), size):
            part = slice(start, start + size)
            losses[part], errors = _cross_entropy(hidden[part] @ weight.t(), targets[part])
            if slopes is not None:
                slopes[part] = errors.to(hidden.dtype) @ weight
        ctx.save_for_backward(None if slopes is None else slopes[:rows])
        return losses[:rows]

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        (slopes,) = ctx.saved_tensors
        return (slopes * gradients[0][:, None]).to(slopes.dtype), None, None


def _cross_entropy(
    logits: torch.Tensor, targets: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the losses [N] for logits [N, V], which it spoils, and their gradients [N, V]."""
    if native.takes(logits):
        return native.cross_entropy(logits, targets), logits
    logs = torch.log_softmax(logits, dim=1, dtype=torch.float32)
    losses = -logs.gather(1, targets[:, None]).squeeze(1)
    errors = logs.exp_()
    errors.scatter_add_(1, targets[:, None], errors.new_full((len(errors), 1), -1.0))
    return losses, errors


def head_losses(hidden: torch.Tensor, weight: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Return the cross entropy of each position in nats, fp32 [N].

    Args:
        hidden: what the output head reads, [N, width].
        weight: of the head, [vocabulary, width]; it gets no gradient.
        targets: the right token of each position, [N].
    """
    losses: torch.Tensor = _HeadLosses.apply(  # type: ignore[no-untyped-call]
        hidden, weight, targets
    )
    return losses


def fuse_head(module: Any) -> None:
    """Let `module`, if it is one of the known models, return hidden states in place of logits.

    `open_head` then tells what to put on them.
    """
    if type(module).__name__ in _MODELS and not module.lm_head.weight.requires_grad:
        module.lm_head.forward = partial(_same)


def open_head(model: Any) -> torch.nn.Linear | None:
    """Return the output head that `model` leaves out, or None if it computes logits."""
    head = getattr(model, "module", model).get_output_embeddings()  # .module: under DDP
    left_out = getattr(head.__dict__.get("forward"), "func", None) is _same
    return head if left_out else None


def _same(hidden: torch.Tensor) -> torch.Tensor:
    return hidden
