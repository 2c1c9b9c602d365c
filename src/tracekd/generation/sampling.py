"""The next token: the most likely one, or one drawn as a pure function of a seed and its place.

A draw depends on the row's seed, the token's place in the answer and the logits there, on nothing
else. So neither batches nor resuming change a sample, and drafts are verified as in greedy decoding
(Leviathan et al. 2023, arXiv 2211.17192, with the draw in the place of the maximum): a drafted
token is kept if it is the one that would have been drawn.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from tracekd.randomness import uniform

#: Rows of logits that are sorted at once: a vocabulary may have a quarter of a million tokens.
_ROWS = 64


@dataclass(frozen=True)
class Sampler:
    """How tokens are chosen.

    Attributes:
        temperature: divides the logits; 0 takes the most likely token.
        top_p: draw from the fewest most likely tokens that have this probability together
            (Holtzman et al. 2020, arXiv 1904.09751).
    """

    temperature: float = 0.0
    top_p: float = 1.0

    def choose(self, logits: torch.Tensor, draws: Sequence[tuple[int, int]]) -> list[int]:
        """Return a token for each row of `logits` [tokens, vocabulary].

        `draws` are each token's row seed and place in its answer; greedy decoding ignores them.
        """
        if not self.temperature:  # `max`, as `argmax` takes four times as long
            tokens: list[int] = logits.max(dim=-1).indices.tolist()
            return tokens
        levels = torch.tensor([uniform(*draw) for draw in draws])
        levels = levels.to(logits.device)
        starts = range(0, len(logits), _ROWS)
        parts = (self._draw(logits[i : i + _ROWS], levels[i : i + _ROWS]) for i in starts)
        return [token for part in parts for token in part]

    def probabilities(self, logits: torch.Tensor) -> torch.Tensor:
        """Return the chances of each token, [tokens, vocabulary]; with `top_p`, not normalised."""
        chances = (logits.float() / self.temperature).softmax(dim=-1)
        if self.top_p < 1:
            ordered, tokens = chances.sort(dim=-1, descending=True, stable=True)
            beyond = ordered.cumsum(dim=-1) - ordered >= self.top_p
            chances = chances.masked_fill(beyond.scatter(-1, tokens, beyond), 0.0)
        return chances

    def _draw(self, logits: torch.Tensor, levels: torch.Tensor) -> list[int]:
        # In the order of the vocabulary: sorted, near ties would exchange places by rounding.
        sums = self.probabilities(logits).cumsum(dim=-1)
        total = sums[:, -1:]
        # Below the total even after rounding, as no token lies beyond it.
        wanted = torch.minimum(levels[:, None] * total, total.nextafter(torch.zeros_like(total)))
        found: list[int] = torch.searchsorted(sums, wanted, right=True)[:, 0].tolist()
        return found


GREEDY = Sampler()
