"""Between a packed sequence (starts.py) and its rows, which rotary position embedding turns.

    sequence [1, N, heads, D]    rows [B, heads, T, D]

Source of the embedding: Su et al. 2021 (arXiv 2104.09864) in transformers' layout, which pairs
element i with i + D / 2.
"""

import torch

from tracekd.kernels import native
from tracekd.kernels.starts import SharedStart

#: Cosines and sines, [1 or B, T, D] each, both halves alike.
Angles = tuple[torch.Tensor, torch.Tensor]


def to_rows(
    sequence: torch.Tensor, start: SharedStart, angles: Angles | None = None, once: bool = False
) -> torch.Tensor:
    """Return a sequence's rows, turned by `angles`.

    Args:
        sequence: [1, N, heads, D]; between tokens there may be gaps in memory.
        start: what the rows share.
        angles: None: no turn.
        once: only row 0 gets the start, the others zeros (`SharedStart.pack_backward`).
    """
    if _native_takes(sequence, angles):
        return native.to_rows(sequence, start, _of_all(angles), once)
    rows = (start.pack_backward if once else start.unpack)(sequence).transpose(1, 2)
    return rows if angles is None else _turned(rows, *angles)


def to_sequence(
    rows: torch.Tensor, start: SharedStart, angles: Angles | None = None, once: bool = False
) -> torch.Tensor:
    """Return rows as a sequence, turned back by `angles`.

    Args:
        rows: [B, heads, T, D], contiguous.
        start: what the rows share.
        angles: None: no turn.
        once: the start is row 0's (`SharedStart.pack`), not the sum over rows (`unpack_backward`).
    """
    if _native_takes(rows, angles):
        return native.to_sequence(rows, start, _of_all(angles), once)
    if angles is not None:
        cos, sin = angles
        rows = _turned(rows, cos, -sin)
    return (start.pack if once else start.unpack_backward)(rows.transpose(1, 2))


def _native_takes(x: torch.Tensor, angles: Angles | None) -> bool:
    return native.takes(x, *(angles or ())) and (angles is None or len(angles[0]) == 1)


def _of_all(angles: Angles | None) -> Angles | None:
    return None if angles is None else (angles[0][0], angles[1][0])


def _turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Return `x` [B, heads, T, D] turned, contiguous; `cos` and `sin` [1 or B, T, D]."""
    half = x.shape[-1] // 2
    cos, sin = cos[:, None, :, :half], sin[:, None, :, :half]
    first, second = x[..., :half], x[..., half:]
    y = torch.empty(x.shape, dtype=x.dtype, device=x.device)
    torch.mul(first, cos, out=y[..., :half]).addcmul_(second, sin, value=-1)
    torch.mul(second, cos, out=y[..., half:]).addcmul_(first, sin)
    return y
