"""A decoder layer as one function, made of the functions that its parts are elsewhere.

    h = x + O(attention(QKV(norm(x))))        y = h + Down(swiglu(GateUp(norm(h))))

To autograd each part is a node of its own, with the views between them, and each sum a new tensor.
Here it sees one node, and sums are added in place: a step on few rows takes 6 % less time.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Self

import torch

from tracekd.kernels.attention import RotaryCausalAttention, has_cache, keeps_weights
from tracekd.kernels.lora import LoraLinear
from tracekd.kernels.norms import RmsNorm, is_plain_norm
from tracekd.kernels.shared_input import SharedInput, SwiGlu
from tracekd.kernels.starts import SharedStart

#: Layers of transformers that are made as above, and of nothing else.
_LAYERS = {"LlamaDecoderLayer", "Qwen3DecoderLayer"}


@dataclass(frozen=True)
class _Parts:
    """What a layer is made of."""

    first_norm: Any
    qkv: SharedInput
    attention: Any
    out: SharedInput
    second_norm: Any
    gate_up: SharedInput
    down: SharedInput

    @classmethod
    def of(cls, layer: Any) -> Self | None:
        """Return the parts of `layer`, or None if some of them have no kernel."""
        attention, mlp = layer.self_attn, layer.mlp
        first, second = layer.input_layernorm, layer.post_attention_layernorm
        qkv, gate_up = (getattr(part, "shared_input", None) for part in (attention, mlp))
        if qkv is None or gate_up is None or not all(map(is_plain_norm, (first, second))):
            return None
        out, down = (SharedInput.of([last]) for last in (attention.o_proj, mlp.down_proj))
        if out is None or down is None:
            return None
        return cls(first, qkv, attention, out, second, gate_up, down)

    @property
    def adapters(self) -> list[torch.Tensor]:
        """All A and B, in the order in which they are used."""
        inputs = (self.qkv, self.out, self.gate_up, self.down)
        return [weight for each in inputs for weight in each.adapters]

    @property
    def head_norms(self) -> list[Any]:
        """The norms of queries and keys, if the layer has them."""
        found = [getattr(self.attention, name, None) for name in ("q_norm", "k_norm")]
        return [norm for norm in found if norm is not None]


class _Kept:
    """What autograd's context is to a function of this package, for `_Chain`."""

    def __init__(self, needs_gradient: bool) -> None:
        self.needs_input_grad = (needs_gradient,)
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *tensors: Any) -> None:
        self.saved_tensors = tensors


class _Chain:
    """Functions that are called one after the other, and backwards in the opposite order."""

    def __init__(self) -> None:
        self._kept: list[_Kept] = []

    def call(self, function: Any, *arguments: Any, needs_gradient: bool = True) -> torch.Tensor:
        """Call a function; `needs_gradient` says whether its first argument does."""
        self._kept.append(_Kept(needs_gradient))
        output: torch.Tensor = function.forward(self._kept[-1], *arguments)
        return output

    def back(self, function: Any, gradient: torch.Tensor, **options: Any) -> Any:
        """Return the gradients of the last call not gone back over, and free what it kept."""
        return function.backward(self._kept.pop(), gradient, **options)

    def norm(self, norm: Any, x: torch.Tensor) -> torch.Tensor:
        return self.call(RmsNorm, x, norm.weight, norm.variance_epsilon)

    def linear(
        self,
        inputs: SharedInput,
        x: torch.Tensor,
        needs_gradient: bool = True,
    ) -> torch.Tensor:
        a, b = inputs.stacked(x.dtype)
        about = (inputs.weight, inputs.bias, a, b, inputs.scale, None)
        return self.call(LoraLinear, x, *about, needs_gradient=needs_gradient)

    def back_linear(
        self, inputs: SharedInput, gradient: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the gradients for the input and for `inputs.adapters`."""
        g_x, _, _, g_a, g_b, *_ = self.back(LoraLinear, gradient)
        return g_x, inputs.apart(g_a, g_b)


class _DecoderLayer(torch.autograd.Function):
    """The layer for `x`, a sequence [1, N, D] as `start` packs rows; gradients for it and adapters.

    What is kept is freed on the way back, so there is one way back.
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: torch.Tensor,
        parts: _Parts,
        cos: torch.Tensor,
        sin: torch.Tensor,
        start: SharedStart,
        *_adapters: torch.Tensor,
    ) -> torch.Tensor:
        chain = ctx.chain = _Chain()
        ctx.parts = parts
        attention, tokens = parts.attention, x.reshape(-1, x.shape[-1])
        normal = chain.norm(parts.first_norm, tokens)
        qkv = chain.linear(parts.qkv, normal, ctx.needs_input_grad[0])
        heads = [
            part.view(1, len(tokens), -1, attention.head_dim)
            for part in torch.split(qkv, parts.qkv.sizes, dim=1)
        ]
        for place, norm in enumerate(parts.head_norms):
            heads[place] = chain.norm(norm, heads[place])
        # The sequence begins with a whole row, so these are the positions of every row.
        cos, sin = (angles[:, : start.length(x)] for angles in (cos, sin))
        seen = chain.call(RotaryCausalAttention, *heads, cos, sin, attention.scaling, start)
        # Added last: what an adapter has learnt is less than half a step of bf16 beside the sum.
        h = chain.linear(parts.out, seen.reshape(len(tokens), -1)).add_(tokens)
        both = chain.linear(parts.gate_up, chain.norm(parts.second_norm, h))
        y = chain.linear(parts.down, chain.call(SwiGlu, both)).add_(h)
        return y.view(x.shape)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        chain, parts = ctx.chain, ctx.parts
        g = gradients[0].reshape(-1, gradients[0].shape[-1])
        g_opened, down = chain.back_linear(parts.down, g)
        g_normal, gate_up = chain.back_linear(parts.gate_up, chain.back(SwiGlu, g_opened))
        g_h = chain.back(RmsNorm, g_normal, more=g)[0]
        g_seen, out = chain.back_linear(parts.out, g_h)
        g_seen = g_seen.view(1, len(g), -1, parts.attention.head_dim)
        heads = list(chain.back(RotaryCausalAttention, g_seen)[:3])
        for place in reversed(range(len(parts.head_norms))):
            heads[place] = chain.back(RmsNorm, heads[place])[0]
        g_qkv = torch.cat([part.reshape(len(g), -1) for part in heads], dim=1)
        g_normal, qkv = chain.back_linear(parts.qkv, g_qkv)
        g_x = None
        if g_normal is not None:
            g_x = chain.back(RmsNorm, g_normal, more=g_h)[0].view(gradients[0].shape)
        return g_x, None, None, None, None, *qkv, *out, *gate_up, *down


def fuse_layer(module: Any) -> None:
    """Let `module` compute as one function if it is a known layer and its parts have kernels."""
    if type(module).__name__ in _LAYERS and (parts := _Parts.of(module)) is not None:
        module.forward = partial(_forward, parts, module.forward)


def _forward(
    parts: _Parts,
    general: Any,
    hidden_states: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    shared_start: SharedStart | None = None,
    **options: Any,
) -> torch.Tensor:
    """Stand in for the layer's own forward pass (`general`), which all else still needs."""
    length = 0 if shared_start is None else shared_start.length(hidden_states)
    if shared_start is None or has_cache(options) or not keeps_weights(hidden_states, length):
        shared = {} if shared_start is None else {"shared_start": shared_start}
        options |= {"hidden_states": hidden_states, "position_embeddings": position_embeddings}
        output: torch.Tensor = general(**options, **shared)
    else:
        arguments = (hidden_states, parts, *position_embeddings, shared_start, *parts.adapters)
        output = _DecoderLayer.apply(*arguments)  # type: ignore[no-untyped-call]
    return output
