r"""Causal attention of short rows, whose T^2 weights are kept for the way back.

Query heads that share a key head stand side by side, so that keys and values are not repeated:

    q [groups, G, T, D]    k, v [groups, T, D]    weights [groups, G, T, T]
"""

from functools import lru_cache

import torch

from tracekd.kernels import native

#: Longer rows are computed in blocks of queries: of what is hidden from a block, half in all,
#: nothing is computed.
_ONE_BLOCK, _BLOCK = 256, 128


def attended(
    q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, scale: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return softmax(scale * q k^T + causal) v, shaped as `q`, and the weights, block by block."""
    groups, _, length, width = q.shape
    blocks, parts = _blocks(length), []
    kept = q.new_empty(sum(_weights(q, block) for block in blocks))
    for block, weights in zip(blocks, _by_block(kept, q, blocks), strict=True):
        seen, size = block.stop, block.stop - block.start
        asked = q[:, :, block].reshape(groups, -1, width)
        keys = k[:, :seen].transpose(1, 2)
        if native.takes(q):
            torch.bmm(asked, keys, out=weights)
            native.causal_softmax(weights.view(-1, seen), size, scale)
        else:
            future = _future(size, seen, q.shape[1], q.dtype, q.device).expand(groups, -1, -1)
            scores = torch.baddbmm(future, asked, keys, alpha=scale)
            torch.softmax(scores, dim=-1, out=weights)
        parts.append(torch.bmm(weights, v[:, :seen]).view(groups, -1, size, width))
    return _joined(parts), kept


def attended_backward(
    g: torch.Tensor,
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    kept: torch.Tensor,
    scale: float,
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Return the gradients for the q, k and v of `attended`, given that for its output."""
    groups, _, length, width = q.shape
    blocks, parts, g_k, g_v = _blocks(length), [], torch.zeros_like(k), torch.zeros_like(v)
    for block, weights in zip(blocks, _by_block(kept, q, blocks), strict=True):
        seen, size = block.stop, block.stop - block.start
        asked, told = (x[:, :, block].reshape(groups, -1, width) for x in (q, g))
        slopes = torch.bmm(told, v[:, :seen].transpose(1, 2))
        if native.takes(q):
            flat = weights.view(-1, seen)
            native.causal_softmax_back(slopes.view(-1, seen), flat, size, scale)
        else:
            slopes = torch._softmax_backward_data(slopes, weights, -1, weights.dtype)
            slopes.mul_(scale)
        parts.append(torch.bmm(slopes, k[:, :seen]).view(groups, -1, size, width))
        g_k[:, :seen] += torch.bmm(slopes.transpose(1, 2), asked)
        g_v[:, :seen] += torch.bmm(weights.transpose(1, 2), told)
    return _joined(parts), g_k, g_v


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
