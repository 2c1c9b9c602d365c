"""A batch whose rows begin alike, as one sequence that holds the common start once.

    rows       s s s a a a a     s s s b b b b            [B, T]
    sequence   s s s a a a a b b b b                      [1, H + B (T - H)]

All prompts begin with the same system message and instruction. What works on single tokens (norms,
products with weights) sees the sequence and computes the start once; attention alone sees rows.
Since a position attends to the left only, the start is the same in all rows, and the start's
gradient is the sum of what the rows ask of it.
"""

from dataclasses import dataclass

import torch

from tracekd.collation import IGNORED


@dataclass(frozen=True)
class SharedStart:
    """Where the common start of a batch ends.

    Attributes:
        columns: H, tokens that all rows begin with; may be 0.
        rows: B.
    """

    columns: int
    rows: int

    @classmethod
    def of(cls, input_ids: torch.Tensor, labels: torch.Tensor) -> "SharedStart":
        """Find the longest start of a batch that no supervised token is predicted from.

        Args:
            input_ids: [B, T].
            labels: [B, T], `IGNORED` where a token is not supervised.
        """
        taught = (labels != IGNORED).any(dim=0)
        same = (input_ids == input_ids[:1]).all(dim=0)
        # The token before a supervised one predicts it, and that differs between rows.
        same[:-1] &= ~taught[1:]
        same[-1] = False
        return cls(int(same.cumprod(dim=0).sum()), len(input_ids))

    def pack(self, rows: torch.Tensor) -> torch.Tensor:
        """Return [B, T, ...] as a sequence [1, H + B (T - H), ...]; the start is row 0's."""
        start, rest = rows[:1, : self.columns], rows[:, self.columns :]
        return torch.cat([start, rest.reshape(1, -1, *rest.shape[2:])], dim=1)

    def unpack(self, sequence: torch.Tensor) -> torch.Tensor:
        """Return a sequence as rows [B, T, ...], each with the start."""
        start, rest = sequence[:, : self.columns], sequence[0, self.columns :]
        starts = start.expand(self.rows, *start.shape[1:])
        return torch.cat([starts, rest.view(self.rows, -1, *rest.shape[1:])], dim=1)
