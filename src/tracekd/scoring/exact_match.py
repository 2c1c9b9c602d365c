"""Exact match for bAbI: the answer's items as a set, whatever their order, case and punctuation."""

import re

from tracekd.scoring.attempt import Attempt, Verdict, normalise, overlap

PARTS = ("f1", "precision", "recall")

_BRACKETED = re.compile(r"^\s*\[(.*)\]\s*$", re.DOTALL)


def judge(attempt: Attempt) -> Verdict:
    """Compare the items of an answer with the gold items.

    Items are split at the grammar's ";" and, because bAbI itself writes lists so, at ",". An
    answer that has a comma in itself also counts unsplit. "['a', 'b']" is read as a list.
    """
    gold = sorted({normalise(answer) for answer in attempt.answers})
    split = _items(attempt, r"[,]")
    whole = _items(attempt, r"(?!)")
    predicted = whole if whole == gold else split
    precision, recall, f1 = overlap(predicted, gold)
    parts = {"f1": f1, "precision": precision, "recall": recall}
    return Verdict(correct=predicted == gold, parts=parts)


def _items(attempt: Attempt, separator: str) -> list[str]:
    items = attempt.items
    if len(items) == 1 and (bracketed := _BRACKETED.match(items[0])):
        items = (bracketed[1],)
    pieces = (normalise(piece) for item in items for piece in re.split(separator, item))
    return sorted({piece for piece in pieces if piece})
