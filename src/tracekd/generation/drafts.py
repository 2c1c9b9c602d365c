"""Guesses at the next tokens of an answer: what followed the last few tokens before.

A trace quotes its context word for word and keeps to the form of the training completions, so
guesses come from the prompt, the answer so far and training examples. They never change an answer:
the model reads a guess in one pass and keeps only the tokens that it would have generated itself. A
wrong guess costs the time spent on it, so a guess ends where it becomes doubtful.

Sources: Leviathan et al. 2023 (arXiv 2211.17192) on verifying drafts; Saxena 2023 (prompt lookup
decoding) on looking them up in the prompt.
"""

from collections import Counter
from collections.abc import Sequence

#: Most tokens of a guess.
DRAFT = 8
#: Lengths of the contexts that are looked up, longest first.
CONTEXTS = (4, 3, 2)
#: A guess ends where the share of earlier occurrences that agree with it falls below this.
_CONFIDENCE = 0.7


#: What followed each short context, and how often.
Followers = dict[tuple[int, ...], Counter[int]]


def count_followers(counts: Followers, tokens: Sequence[int], first: int = 0) -> None:
    """Count how often each token from place `first` on follows the short contexts before it."""
    for place in range(first, len(tokens)):
        for size in CONTEXTS:
            if place >= size:
                context = tuple(tokens[place - size : place])
                counts.setdefault(context, Counter())[tokens[place]] += 1


class Drafter:
    """Guesses for one row."""

    def __init__(self, tokens: Sequence[int], examples: Followers) -> None:
        """Read the row so far."""
        self._tokens: list[int] = []
        self._tables: tuple[Followers, Followers] = ({}, examples)
        self.add(tokens)

    def add(self, tokens: Sequence[int]) -> None:
        """Append tokens to the row."""
        first = len(self._tokens)
        self._tokens += tokens
        count_followers(self._tables[0], self._tokens, first)

    def guess(self, most: int) -> list[int]:
        """Return up to `most` tokens that may come next."""
        known = self._tokens[-max(CONTEXTS) :]
        guessed: list[int] = []
        confidence = 1.0
        while len(guessed) < most and (counts := self._followers([*known, *guessed])):
            token, count = counts.most_common(1)[0]
            confidence *= count / counts.total()
            if confidence < _CONFIDENCE:
                break
            guessed.append(token)
        return guessed

    def _followers(self, tokens: list[int]) -> Counter[int] | None:
        """Return what followed the longest known context, in the row itself before the examples."""
        contexts = [tuple(tokens[-size:]) for size in CONTEXTS]
        found = (table.get(context) for context in contexts for table in self._tables)
        return next((counts for counts in found if counts), None)
