r"""Linear layers that read the same input, as one: a wide product runs nearer the hardware's rate.

    q, k, v          x [W_q; W_k; W_v]' + s x [A_q; A_k; A_v]' diag(B_q, B_k, B_v)'
    gate, up         the same

The blocks of zeros cost next to nothing: LoRA's products are bound by memory, not by arithmetic.
"""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch

from tracekd.kernels.lora import dropout_of, is_plain_lora, lora_linear

#: Layers of transformers that compute down(silu(gate(x)) * up(x)), if their activation is SiLU.
_GATED = {"LlamaMLP", "Qwen3MLP"}


class SharedInput:
    """LoRA layers whose base weights are rows of one matrix.

    Attributes:
        sizes: each layer's number of outputs.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        """Move the base weights of `layers`, all of them plain LoRA layers, into one matrix."""
        bases = [layer.base_layer for layer in layers]
        self._weight = torch.cat([base.weight.detach() for base in bases])
        self._bias = None
        self.sizes = [base.out_features for base in bases]
        for base, rows in zip(bases, torch.split(self._weight, self.sizes), strict=True):
            base.weight.data = rows  # a view: the matrix is in memory once
        if bases[0].bias is not None:
            self._bias = torch.cat([base.bias.detach() for base in bases])
        self._layers, self._name = layers, layers[0].active_adapters[0]

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
        a = torch.cat([layer.lora_A[self._name].weight for layer in self._layers])
        b = torch.block_diag(  # type: ignore[no-untyped-call]
            *(layer.lora_B[self._name].weight for layer in self._layers)
        )
        return lora_linear(x, self._weight, self._bias, a, b, self._layers[0].scaling[self._name])


class _SwiGlu(torch.autograd.Function):
    """silu(g) * u for the halves [g, u] of the last dimension."""

    @staticmethod
    def forward(ctx: Any, both: torch.Tensor) -> torch.Tensor:
        gate, up = both.chunk(2, dim=-1)
        opened = torch.nn.functional.silu(gate)
        ctx.save_for_backward(both, opened)
        return opened * up

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> torch.Tensor:
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
    product: torch.Tensor = _SwiGlu.apply(both)  # type: ignore[no-untyped-call]
    return product


def fuse_gated(module: Any) -> None:
    """Let `module` compute gate and up as one if it is one of the known layers."""
    if type(module).__name__ not in _GATED or "SiLU" not in type(module.act_fn).__name__:
        return
    inputs = SharedInput.of([module.gate_proj, module.up_proj])
    if inputs is not None:
        module.forward = partial(_forward, module, inputs)


def _forward(module: Any, inputs: SharedInput, x: torch.Tensor) -> Any:
    return module.down_proj(swiglu(inputs(x)))
