r"""Rotary position embedding and causal attention as one function.

Query heads that share a key head stand side by side, so that keys and values are not repeated:

    q  [B, T, H, D]  -rotate->  [B K, G, T, D]       H = K G query heads in groups of G
    k  [B, T, K, D]  -rotate->  [B K, T, D]          scores [B K, G, T, T]
"""

from functools import lru_cache, partial
from typing import Any

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers.cache_utils import Cache
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

from tracekd.kernels.shared_input import SharedInput
from tracekd.kernels.starts import SharedStart

#: Layers of transformers that project, rotate, attend and project again (Qwen3 also normalises
#: queries and keys), and nothing else.
_LAYERS = {"LlamaAttention", "Qwen3Attention"}
#: Longer rows, and all on a GPU, go to torch's attention, whose memory grows with T, not T^2.
_LONGEST = 1536
#: Longer rows are computed in blocks of queries: of what is hidden from a block, half in all,
#: nothing is computed.
_ONE_BLOCK, _BLOCK = 256, 128


class RotaryCausalAttention(torch.autograd.Function):
    """o = softmax(s q' k'^T + causal) v with q', k' rotated; gradients for q, k and v."""

    @staticmethod
    def forward(
        ctx: Any,
        q: torch.Tensor,
        k: torch.Tensor,
        v: torch.Tensor,
        cos: torch.Tensor,
        sin: torch.Tensor,
        scale: float,
    ) -> torch.Tensor:
        """Return the output; see the class."""
        batch, length, heads, width = q.shape
        groups, keys = batch * k.shape[2], (batch * k.shape[2], length, width)
        q = _rotate(q.transpose(1, 2), cos, sin).view(groups, -1, length, width)
        k = _rotate(k.transpose(1, 2), cos, sin).view(keys)
        v = v.transpose(1, 2).reshape(keys)
        blocks, parts = _blocks(length), []
        kept = q.new_empty(sum(_weights(q, block) for block in blocks))
        for block, weights in zip(blocks, _by_block(kept, q, blocks), strict=True):
            seen, size = block.stop, block.stop - block.start
            asked = q[:, :, block].reshape(groups, -1, width)
            future = _future(size, seen, q.shape[1], q.dtype, q.device).expand(groups, -1, -1)
            scores = torch.baddbmm(future, asked, k[:, :seen].transpose(1, 2), alpha=scale)
            torch.softmax(scores, dim=-1, out=weights)
            parts.append(torch.bmm(weights, v[:, :seen]).view(groups, -1, size, width))
        ctx.save_for_backward(q, k, v, cos, sin, kept)
        ctx.scale, ctx.heads = scale, heads
        return _joined(parts).view(batch, heads, length, width).transpose(1, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        """Return the gradients of the arguments for that of the output."""
        q, k, v, cos, sin, kept = ctx.saved_tensors
        groups, length, width = k.shape
        batch = q.numel() // (ctx.heads * length * width)
        g = gradients[0].transpose(1, 2).reshape(q.shape)
        blocks, parts, g_k, g_v = _blocks(length), [], torch.zeros_like(k), torch.zeros_like(v)
        for block, weights in zip(blocks, _by_block(kept, q, blocks), strict=True):
            seen, size = block.stop, block.stop - block.start
            asked, told = (x[:, :, block].reshape(groups, -1, width) for x in (q, g))
            g_weights = torch.bmm(told, v[:, :seen].transpose(1, 2))
            g_scores = torch._softmax_backward_data(g_weights, weights, -1, weights.dtype)
            g_scores.mul_(ctx.scale)
            parts.append(torch.bmm(g_scores, k[:, :seen]).view(groups, -1, size, width))
            g_k[:, :seen] += torch.bmm(g_scores.transpose(1, 2), asked)
            g_v[:, :seen] += torch.bmm(weights.transpose(1, 2), told)

        def unrotated(gradient: torch.Tensor) -> torch.Tensor:
            heads = gradient.view(batch, -1, length, width)
            return _rotate(heads, cos, -sin).transpose(1, 2)

        values = g_v.view(batch, -1, length, width).transpose(1, 2)
        return unrotated(_joined(parts)), unrotated(g_k), values, None, None, None


@lru_cache(maxsize=64)
def _future(
    size: int, seen: int, heads: int, dtype: torch.dtype, device: torch.device
) -> torch.Tensor:
    """Return what hides later keys from the last `size` of `seen` queries: 0 or -inf.

    Shape [heads * size, seen], the same for each of `heads` query heads that share keys. All
    layers of all steps ask for the same few.
    """
    future = torch.full((size, seen), float("-inf"), dtype=dtype, device=device)
    return future.triu_(1 + seen - size).repeat(heads, 1)


def _blocks(length: int) -> list[slice]:
    """Return the queries that are computed together, with the keys up to their last one."""
    if length <= _ONE_BLOCK:
        return [slice(0, length)]
    return [slice(start, min(start + _BLOCK, length)) for start in range(0, length, _BLOCK)]


def _weights(q: torch.Tensor, block: slice) -> int:
    """Return how many attention weights a block of `q` [groups, G, T, D] has."""
    return int(q.shape[0] * q.shape[1] * (block.stop - block.start) * block.stop)


def _by_block(kept: torch.Tensor, q: torch.Tensor, blocks: list[slice]) -> list[torch.Tensor]:
    """Return each block's weights [groups, G * queries, keys], views of what is kept of all.

    A tensor for each, of many sizes, would leave gaps in the memory when they are freed.
    """
    parts = torch.split(kept, [_weights(q, block) for block in blocks])
    return [part.view(len(q), -1, block.stop) for part, block in zip(parts, blocks, strict=True)]


def _joined(parts: list[torch.Tensor]) -> torch.Tensor:
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim=2)


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
    Vaswani et al. 2017 (arXiv 1706.03762), Su et al. 2021 (arXiv 2104.09864) in transformers'
    layout, which pairs element i with i + D / 2.

    Args:
        q: queries [B, T, H, D].
        k: keys [B, T, K, D]; K divides H.
        v: values [B, T, K, D].
        cos: of the angles, [1 or B, T, D], both halves alike.
        sin: as `cos`.
        scale: of the scores.
    """
    output: torch.Tensor = RotaryCausalAttention.apply(  # type: ignore[no-untyped-call]
        q, k, v, cos[:, None], sin[:, None], scale
    )
    return output


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


def _rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Return `x` [B, heads, T, D] rotated, contiguous; `cos` and `sin` [1 or B, 1, T, D]."""
    half = x.shape[-1] // 2
    cos, sin, first, second = cos[..., :half], sin[..., :half], x[..., :half], x[..., half:]
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    torch.mul(first, cos, out=y[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=y[..., half:]).addcmul_(first, sin)
    return y
