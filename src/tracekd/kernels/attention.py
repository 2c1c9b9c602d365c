r"""Rotary position embedding and causal attention as one function.

Of a packed sequence (starts.py) [1, N, heads, D], attention sees the rows:

    q [B, H, T, D]  as  [B K, G, T, D], with H = K G        k, v [B, K, T, D]  as  [B K, T, D]
"""

from functools import partial
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.cache_utils import Cache
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from tracekd.kernels.causal import attended, attended_backward
from tracekd.kernels.rows import to_rows, to_sequence
from tracekd.kernels.shared_input import SharedInput
from tracekd.kernels.starts import SharedStart

#: Layers of transformers that project, rotate, attend and project again (Qwen3 also normalises
#: queries and keys), and nothing else.
_LAYERS = {"LlamaAttention", "Qwen3Attention"}
#: Longer rows, and all on a GPU, go to torch's attention, whose memory grows with T, not T^2.
_LONGEST = 1536


class RotaryCausalAttention(torch.autograd.Function):
    """o = softmax(s q' k'^T + causal) v with q', k' rotated; gradients for q, k and v.

    All of them are sequences [1, N, heads, D] as `start` packs rows.
    """

    @staticmethod
    def forward(
        ctx: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        scale: float,
        start: SharedStart,
    ) -> torch.Tensor:
        """Return the output; `cos` and `sin` are of the rows, [1 or B, T, D]."""
        q, k = (to_rows(x, start, (cos, sin)) for x in (q, k))
        k, v = (x.reshape(-1, *k.shape[2:]) for x in (k, to_rows(v, start)))
        output, kept = attended(q.view(len(k), -1, *k.shape[1:]), k, v, scale)
        ctx.save_for_backward(q, k, v, cos, sin, kept)
        ctx.scale, ctx.start = scale, start
        return to_sequence(output.view(q.shape), start, once=True)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the arguments for that of the output."""
        q, k, v, cos, sin, kept = ctx.saved_tensors
        rows = to_rows(gradients[0], ctx.start, once=True)
        g, q = (x.reshape(len(k), -1, *k.shape[1:]) for x in (rows, q))
        heads = [
            x.view(ctx.start.rows, -1, *k.shape[1:])
            for x in attended_backward(g, q, k, v, kept, ctx.scale)
        ]
        angles = (cos, sin)
        g_q, g_k = (to_sequence(x, ctx.start, angles) for x in heads[:2])
        return g_q, g_k, to_sequence(heads[2], ctx.start), None, None, None, None


def rotary_causal_attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Return the attention's output [B, T, H, D]; each position sees itself and what is before.

    Takes memory for T^2 / 2 weights per head, which for short rows is the quicker way. Sources:
    Vaswani et al. 2017 (arXiv 1706.03762), and rows.py.

    Args:
        q: queries [B, T, H, D].
        k: keys [B, T, K, D]; K divides H.
        v: values [B, T, K, D].
        cos: of the angles, [1 or B, T, D], both halves alike.
        sin: as `cos`.
        scale: of the scores.
    """
    start = SharedStart(0, len(q))
    sequences = (x.reshape(1, -1, *x.shape[2:]) for x in (q, k, v))
    output: torch.Tensor = RotaryCausalAttention.apply(  # type: ignore[no-untyped-call]
        *sequences, cos, sin, scale, start
    )
    return output.view(q.shape)


def fuse_attention(module: Any) -> None:
    """Let `module` compute by `attend` if it is one of the known layers."""
    if type(module).__name__ in _LAYERS and not getattr(module, "sliding_window", None):
        module.shared_input = SharedInput.of([module.q_proj, module.k_proj, module.v_proj])
        module.forward = partial(_forward, module, module.forward)


def shares_starts(model: torch.nn.Module) -> bool:
    """Say whether all attention layers of `model` take `shared_start`."""
    layers = [layer for layer in model.modules() if type(layer).__name__.endswith("Attention")]
    return bool(layers) and all(
        getattr(layer.__dict__.get("forward"), "func", None) is _forward for layer in layers
    )


def keeps_weights(x: torch.Tensor, length: int) -> bool:
    """Say whether rows of `length` tokens are short enough, on this device, to keep T^2 weights."""
    return x.device.type == "cpu" and length <= _LONGEST


def has_cache(options: dict[str, Any]) -> bool:
    """Say whether a cache is among a layer's arguments.

    By type, not by name: releases of transformers differ in what they call it.
    """
    return any(isinstance(one, Cache) for one in options.values())


def attend(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    cos: torch.Tensor,
    sin: torch.Tensor,
    scale: float,
) -> torch.Tensor:
    """Return `rotary_causal_attention` of the arguments (shapes there), by the way for their size.

    Rows of more than `_LONGEST` tokens, and all on a GPU, take memory for T and not for T^2.
    """
    if keeps_weights(q, q.shape[1]):
        return rotary_causal_attention(q, k, v, cos, sin, scale)
    q, k = apply_rotary_pos_emb(q.transpose(1, 2), k.transpose(1, 2), cos, sin)
    v = v.transpose(1, 2)
    output = scaled_dot_product_attention(q, k, v, is_causal=True, scale=scale, enable_gqa=True)
    return output.transpose(1, 2)


def _forward(
    module: Any,
    general: Any,
    hidden_states: torch.Tensor,
    position_embeddings: tuple[torch.Tensor, torch.Tensor],
    attention_mask: torch.Tensor | None = None,
    shared_start: SharedStart | None = None,
    **options: Any,
) -> tuple[torch.Tensor, None]:
    """Stand in for the layer's own forward pass (`general`), which masks and caches still need.

    With `shared_start`, `hidden_states` are the packed sequence of a batch.
    """
    if has_cache(options) or (attention_mask is not None and shared_start is None):
        output: tuple[torch.Tensor, None] = general(
            hidden_states=hidden_states,
            position_embeddings=position_embeddings,
            attention_mask=attention_mask,
            **options,
        )
        return output
    inputs = module.shared_input
    if inputs is None:
        parts = [layer(hidden_states) for layer in (module.q_proj, module.k_proj, module.v_proj)]
    else:
        parts = list(torch.split(inputs(hidden_states), inputs.sizes, dim=-1))
    q, k, v = (part.unflatten(-1, (-1, module.head_dim)) for part in parts)
    if hasattr(module, "q_norm"):
        q, k = module.q_norm(q), module.k_norm(k)
    cos, sin = position_embeddings
    if shared_start is None:
        attended = attend(q, k, v, cos, sin, module.scaling)
    else:
        q, k, v = (shared_start.unpack(x) for x in (q, k, v))
        # The sequence begins with a whole row, so these are the positions of every row.
        cos, sin = cos[:, : q.shape[1]], sin[:, : q.shape[1]]
        attended = shared_start.pack(attend(q, k, v, cos, sin, module.scaling))
    return module.o_proj(attended.reshape(*hidden_states.shape[:2], -1)), None
