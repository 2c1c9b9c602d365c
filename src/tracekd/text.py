"""What datasets, traces and scoring share about text: one line, normal form, whole words."""

import string
from collections.abc import Sequence
from functools import lru_cache
from typing import Literal

_WITHOUT_PUNCTUATION = str.maketrans("", "", string.punctuation)


def one_line(text: str) -> str:
    """Return `text` with each run of white space (line breaks too) as one space, ends trimmed."""
    return " ".join(text.split())


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """Return `text` in lower case, without ASCII punctuation, on one line.

    >>> normalise(" The  U.S. ")
    'the us'
    """
    return one_line(text.lower().translate(_WITHOUT_PUNCTUATION))


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
