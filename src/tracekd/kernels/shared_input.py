r"""Linear layers that read the same input, as one: a wide product runs nearer the hardware's rate.

    q, k, v          x [W_q; W_k; W_v]' + s x [A_q; A_k; A_v]' diag(B_q, B_k, B_v)'
    gate, up         the same

The blocks of zeros cost next to nothing: LoRA's products are bound by memory, not by arithmetic.
"""

from collections.abc import Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import torch

from tracekd.kernels import native
from tracekd.kernels.lora import dropout_of, is_plain_lora, lora_linear

#: Layers of transformers that compute down(silu(gate(x)) * up(x)), if their activation is SiLU.
_GATED = {"LlamaMLP", "Qwen3MLP"}


class SharedInput:
    """LoRA layers whose base weights are rows of one matrix.

    Attributes:
        weight: that matrix, [sum of `sizes`, in].
        bias: [sum of `sizes`] or None.
        sizes: each layer's number of outputs.
        scale: of LoRA's product, the same for all.
        adapters: A, B of the first layer, A, B of the second, and so on.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        """Move the base weights of `layers`, all of them plain LoRA layers, into one matrix."""
        bases = [layer.base_layer for layer in layers]
        self.weight = torch.cat([base.weight.detach() for base in bases])
        self.bias = None
        self.sizes = [base.out_features for base in bases]
        for base, rows in zip(bases, torch.split(self.weight, self.sizes), strict=True):
            base.weight.data = rows  # a view: the matrix is in memory once
        if bases[0].bias is not None:
            self.bias = torch.cat([base.bias.detach() for base in bases])
        name = layers[0].active_adapters[0]
        self.scale = layers[0].scaling[name]
        self.adapters = [
            half[name].weight for layer in layers for half in (layer.lora_A, layer.lora_B)
        ]
        self._stacks: dict[torch.dtype, tuple[torch.Tensor, torch.Tensor, list[torch.Tensor]]] = {}

    @classmethod
    def of(cls, layers: Sequence[Any]) -> "SharedInput | None":
        """Return `layers` as one, or None if they differ in more than their numbers of outputs.

        With dropout, each has a mask and with it an input of its own.
        """
        if not all(is_plain_lora(layer) and dropout_of(layer) == 0 for layer in layers):
            return None
        alike = {
            (
                layer.active_adapters[0],
                layer.scaling[layer.active_adapters[0]],
                layer.base_layer.in_features,
                layer.base_layer.bias is None,
                layer.base_layer.weight.requires_grad,
            )
            for layer in layers
        }
        return cls(layers) if len(alike) == 1 else None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        """Return the layers' outputs side by side, [..., sum of `sizes`], for `x` [..., in]."""
        a = torch.cat(self.adapters[::2])
        b = torch.block_diag(*self.adapters[1::2])  # type: ignore[no-untyped-call]
        return lora_linear(x, self.weight, self.bias, a, b, self.scale)

    def stacked(self, dtype: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
        """Return [A_1; A_2; ...] and diag(B_1, B_2, ...) in another format, apart from autograd.

        The next call returns the same tensors, with the adapters of then.
        """
        if dtype not in self._stacks:
            ranks = sum(map(len, self.adapters[::2]))
            a = self.weight.new_empty((ranks, self.weight.shape[1]), dtype=dtype)
            b = self.weight.new_zeros((len(self.weight), ranks), dtype=dtype)
            self._stacks[dtype] = a, b, self._places(a, b)
        a, b, places = self._stacks[dtype]
        with torch.no_grad():
            torch._foreach_copy_(places, self.adapters)
        return a, b

    def apart(self, a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
        """Return gradients for what `stacked` returns as gradients for `adapters`."""
        places = self._places(a, b)
        return [place.to(part.dtype) for part, place in zip(self.adapters, places, strict=True)]

    def _places(self, a: torch.Tensor, b: torch.Tensor) -> list[torch.Tensor]:
        """Return where each of `adapters` stands in the two matrices."""
        ranks = [len(part) for part in self.adapters[::2]]
        rows, blocks = torch.split(a, ranks), torch.split(b, self.sizes)
        diagonal = [
            block[:, end - rank : end]
            for block, rank, end in zip(blocks, ranks, accumulate(ranks), strict=True)
        ]
        return [place for pair in zip(rows, diagonal, strict=True) for place in pair]


class SwiGlu(torch.autograd.Function):
    """silu(g) * u for the halves [g, u] of the last dimension."""

    @staticmethod
    def forward(ctx: Any, both: torch.Tensor) -> torch.Tensor:
        """Return the output; see the class."""
        ctx.native = native.takes(both)
        if ctx.native:
            ctx.save_for_backward(both)
            return native.swiglu(both)
        gate, up = both.chunk(2, dim=-1)
        opened = torch.nn.functional.silu(gate)
        ctx.save_for_backward(both, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
        """Return the gradients of the arguments for that of the output."""
        if ctx.native:
            return native.swiglu_back(gradients[0], *ctx.saved_tensors)
        both, opened = ctx.saved_tensors
        gate, up = both.chunk(2, dim=-1)
        slopes = torch.empty_like(both)
        g_gate, g_up = slopes.chunk(2, dim=-1)
        torch.mul(gradients[0], opened, out=g_up)
        torch.ops.aten.silu_backward.grad_input(gradients[0] * up, gate, grad_input=g_gate)
        return slopes


def swiglu(both: torch.Tensor) -> torch.Tensor:
    """Return silu(g) * u [..., n] for `both` = [g, u] of shape [..., 2 n].

    Source of the formula: Shazeer 2020 (arXiv 2002.05202).
    """
    product: torch.Tensor = SwiGlu.apply(both)  # type: ignore[no-untyped-call]
    return product


def fuse_gated(module: Any) -> None:
    """Let `module` compute gate and up as one if it is one of the known layers."""
    if type(module).__name__ not in _GATED or "SiLU" not in type(module.act_fn).__name__:
        return
    module.shared_input = SharedInput.of([module.gate_proj, module.up_proj])
    if module.shared_input is not None:
        module.forward = partial(_forward, module)


def _forward(module: Any, x: torch.Tensor) -> Any:
    return module.down_proj(swiglu(module.shared_input(x)))
