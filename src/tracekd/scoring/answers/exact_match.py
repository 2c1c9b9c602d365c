"""Exact match for bAbI: the answer's items, in any order, without case and punctuation.

An item counts as often as it stands there: in path finding "n,n" is two steps north.
"""

import re
from collections.abc import Iterable

from tracekd.scoring.attempt import Attempt, Verdict, normalise, overlap

PARTS = ("f1", "precision", "recall")

_BRACKETED = re.compile(r"^\s*\[(.*)\]\s*$", re.DOTALL)


def judge(attempt: Attempt) -> Verdict:
    """Compare the items of an answer with the gold items.

    Items are split at the grammar's ";" and, because bAbI itself writes lists so, at ",". An
    answer that has a comma in itself also counts unsplit. "['a', 'b']" is read as a list.
    """
    gold = _sorted(attempt.answers)
    items = attempt.items
    if len(items) == 1 and (bracketed := _BRACKETED.match(items[0])):
        items = (bracketed[1],)
    predicted = _sorted(items)
    if predicted != gold:
        predicted = _sorted(piece for item in items for piece in item.split(","))
    precision, recall, f1 = overlap(predicted, gold)
    parts = {"f1": f1, "precision": precision, "recall": recall}
    return Verdict(correct=predicted == gold, parts=parts)


def _sorted(items: Iterable[str]) -> list[str]:
    """Return items normalised and sorted; one of punctuation alone stays as it is."""
    return sorted(filter(None, (normalise(item) or item.strip() for item in items)))
