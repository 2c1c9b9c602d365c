"""Exact match for bAbI: the answer's items as a set, whatever their order, case and punctuation."""

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
    gold = _distinct(attempt.answers)
    items = attempt.items
    if len(items) == 1 and (bracketed := _BRACKETED.match(items[0])):
        items = (bracketed[1],)
    predicted = _distinct(items)
    if predicted != gold:
        predicted = _distinct(piece for item in items for piece in item.split(","))
    precision, recall, f1 = overlap(predicted, gold)
    parts = {"f1": f1, "precision": precision, "recall": recall}
    return Verdict(correct=predicted == gold, parts=parts)


def _distinct(items: Iterable[str]) -> list[str]:
    return sorted({normalise(item) for item in items} - {""})
