"""Guesses at what a student says next, taken from its prompt and from what it was taught.

A trace quotes its context word for word and keeps to the form it was taught, so the tokens that
followed the last few ones where they stood before are often the next ones. A guess is only ever a
guess: the model reads it in one pass and keeps what it would have said itself. A wrong one costs
what the pass spends on it, so that guesses end where they become doubtful. Sources: Leviathan et
al. 2023 (arXiv 2211.17192); looking drafts up in the prompt is Saxena 2023 (prompt lookup
decoding).
"""

from collections.abc import Sequence

#: Most tokens of a draft.
DRAFT = 8
#: Lengths of the contexts that are looked up, longest first.
_CONTEXTS = (4, 3, 2)
#: Stands before the first token of an answer.
_START = -1
#: A guess ends where it would be right less often than this, by what has been seen.
_CONFIDENCE = 0.7


class Recollection:
    """How often each token followed each short context in some token sequences."""

    def __init__(self) -> None:
        """Remember nothing."""
        self._last: list[int] = []
        self._followers: dict[tuple[int, ...], dict[int, int]] = {}

    def extend(self, tokens: Sequence[int], *, new: bool = False) -> None:
        """Remember more tokens: of the same sequence, or of a `new` answer."""
        known = [_START] * max(_CONTEXTS) if new else self._last
        for token in tokens:
            for size in _CONTEXTS:
                if len(known) >= size:
                    counts = self._followers.setdefault(tuple(known[-size:]), {})
                    counts[token] = counts.get(token, 0) + 1
            known.append(token)
        self._last = known[-max(_CONTEXTS) :]

    def followers(self, context: tuple[int, ...]) -> dict[int, int]:
        """Return how often which token stood behind `context`."""
        return self._followers.get(context, {})


class Drafter:
    """Guesses for one row."""

    def __init__(self, prompt: Sequence[int], taught: Recollection) -> None:
        """Draw on `prompt`, on what the row says, and on answers like those it was taught."""
        self._own, self._taught = Recollection(), taught
        self._own.extend(prompt)
        self._said = [_START] * max(_CONTEXTS)

    def hear(self, tokens: Sequence[int]) -> None:
        """Take note of what the row has said."""
        self._own.extend(tokens)
        self._said = [*self._said, *tokens][-max(_CONTEXTS) :]

    def guess(self, most: int) -> list[int]:
        """Return up to `most` tokens that the row may say next."""
        drafted: list[int] = []
        confidence = 1.0
        while len(drafted) < most:
            counts = self._likely((*self._said, *drafted))
            if not counts:
                break
            token = max(counts, key=counts.__getitem__)
            confidence *= counts[token] / sum(counts.values())
            if confidence < _CONFIDENCE:
                break
            drafted.append(token)
        return drafted

    def _likely(self, said: tuple[int, ...]) -> dict[int, int]:
        """Return what followed the longest context that is known, the prompt's before others."""
        for size in _CONTEXTS:
            for source in (self._own, self._taught):
                if counts := source.followers(said[-size:]):
                    return counts
        return {}
