"""What several packages share about text: one line, normal form, whole words, filler."""

import re
import string
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal

#: The word that a trace without content repeats.
FILLER = "..."
#: Number of filler words from which the length of one is measured.
_MANY = 101
_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)
#: Signs that are part of a number, and what stands for them: 3.5 is not 35, -5 not 5, 3:45 not 345.
_IN_NUMBERS = re.compile(r"(?<=\d)[./:](?=\d)|(?<![\w.])-(?=\d)")
_KEPT = str.maketrans("./:-", "\u00b7\u2044\u2236\u2212")


def one_line(text: str) -> str:
    """Return `text` with each run of white space (line breaks too) as one space, ends trimmed."""
    return " ".join(text.split())


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """Return `text` in lower case, without ASCII punctuation but that of numbers, on one line.

    >>> normalise(" The  U.S. ")
    'the us'
    >>> normalise("3.5") == normalise("35")
    False
    """
    numbered = _IN_NUMBERS.sub(lambda sign: sign[0].translate(_KEPT), text.lower())
    return one_line(numbered.translate(_WITHOUT_PUNCTUATION))


def contains_words(text: str, words: str) -> bool:
    """Return whether `words` (normalised, not empty) occur in `text` (normalised) as whole words.

    >>> contains_words("it took 50 years", "5")
    False
    """
    return bool(words) and f" {words} " in f" {text} "


def states_answer(
    facts: Sequence[str] | None, answers: Sequence[str], which: Literal["all", "any"]
) -> bool | None:
    """Return whether `facts` state the answer: all of its items, or any of its alternatives.

    Compared without case and punctuation, as whole words. None if `facts` is None: there is no
    text to look in.

    >>> states_answer(["Mary went to the kitchen."], ["Kitchen"], "all")
    True
    """
    if facts is None:
        return None
    texts = [normalise(fact) for fact in facts]
    found = (any(contains_words(text, normalise(item)) for text in texts) for item in answers)
    return all(found) if which == "all" else any(found)


def fill(trace: str, like: str, spell: Callable[[str], Sequence[int]]) -> str:
    """Return `trace` with its one `FILLER` repeated, as close as possible to the length of `like`.

    Length is the number of tokens that `spell` returns. Every further word has as many as another.
    """

    def filled(words: int) -> str:
        return trace.replace(FILLER, " ".join([FILLER] * words))

    one, many, wanted = (len(spell(text)) for text in (filled(1), filled(_MANY), like))
    return filled(1 + max(0, round((wanted - one) * (_MANY - 1) / (many - one))))
