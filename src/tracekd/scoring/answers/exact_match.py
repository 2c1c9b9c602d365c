"""Exact match for bAbI: the answer's items, in any order, without case and punctuation.

Repeated items count. A single gold answer with commas is a sequence: the path "n,w" is "n, w" or
"n; w", but not "w,n".
"""

from collections.abc import Iterable

from tracekd.scoring.answers import AnswerMetric, Attempt, Verdict, overlap
from tracekd.text import normalise
from tracekd.traces.lenient import answer_items


def judge(attempt: Attempt) -> Verdict:
    """Compare the items of an answer with the gold items.

    Items are split at the grammar's ";" and, as in bAbI's own files, at ",". An answer that
    contains a comma also counts unsplit. "['a', 'b']" is read as a list.
    """
    gold = sorted(_normalised(attempt.answers))
    predicted = sorted(_normalised(attempt.items))
    if predicted != gold:
        items = [item for text in attempt.items for item in answer_items(text)]
        pieces = _normalised(piece for item in items for piece in item.split(","))
        in_order = len(gold) == 1 and pieces == _normalised(attempt.answers[0].split(","))
        predicted = gold if in_order else sorted(pieces)
    precision, recall, f1 = overlap(predicted, gold)
    parts = {"f1": f1, "precision": precision, "recall": recall}
    return Verdict(correct=predicted == gold, parts=parts)


def _normalised(items: Iterable[str]) -> list[str]:
    """Return items normalised, in their order; an item of punctuation alone stays as it is."""
    return list(filter(None, (normalise(item) or item.strip() for item in items)))


METRIC = AnswerMetric(parts=("f1", "precision", "recall"), judge=judge, main=("f1",))
