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

from tracekd.training.collation import IGNORED


@dataclass(frozen=True)
class SharedStart:
    """Where the common start of a batch ends.

    Attributes:
        columns: H, tokens that all rows begin with; may be 0, and is if there is one row.
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
        if len(input_ids) == 1:
            return cls(0, 1)
        taught = (labels != IGNORED).any(dim=0)
        same = (input_ids == input_ids[:1]).all(dim=0)
        # The token before a supervised one predicts it, and that differs between rows.
        same[:-1] &= ~taught[1:]
        same[-1] = False
        return cls(int(same.cumprod(dim=0).sum()), len(input_ids))

    def pack(self, rows: torch.Tensor) -> torch.Tensor:
        """Return [B, T, ...] as a sequence [1, H + B (T - H), ...]; the start is row 0's."""
        return self._sequence(rows[:1, : self.columns], rows)

    def unpack(self, sequence: torch.Tensor) -> torch.Tensor:
        """Return a sequence as rows [B, T, ...], each with the start."""
        start = sequence[:, : self.columns]
        return self._rows(start.expand(self.rows, *start.shape[1:]), sequence)

    def length(self, sequence: torch.Tensor) -> int:
        """Return T, the tokens of a row, of a sequence [1, H + B (T - H), ...]."""
        return self.columns + (sequence.shape[1] - self.columns) // self.rows

    def pack_backward(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient for the argument of `pack`: of the start, row 0 has all."""
        starts = gradient.new_zeros(self.rows, self.columns, *gradient.shape[2:])
        starts[:1] = gradient[:, : self.columns]
        return self._rows(starts, gradient)

    def unpack_backward(self, gradient: torch.Tensor) -> torch.Tensor:
        """Return the gradient for the argument of `unpack`: for the start, what all rows ask."""
        return self._sequence(gradient[:, : self.columns].sum(dim=0, keepdim=True), gradient)

    def _sequence(self, start: torch.Tensor, rows: torch.Tensor) -> torch.Tensor:
        rest = rows[:, self.columns :].reshape(1, -1, *rows.shape[2:])
        return torch.cat([start, rest], dim=1) if self.columns else rest

    def _rows(self, starts: torch.Tensor, sequence: torch.Tensor) -> torch.Tensor:
        rest = sequence[0, self.columns :].view(self.rows, -1, *sequence.shape[2:])
        return torch.cat([starts, rest], dim=1) if self.columns else rest
