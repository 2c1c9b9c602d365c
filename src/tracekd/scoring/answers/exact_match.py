"""Exact match for bAbI: the answer's items, in any order, without case and punctuation.

Repeated items count: in path finding "n,n" is two steps north.
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
    gold = _sorted(attempt.answers)
    predicted = _sorted(attempt.items)
    if predicted != gold:
        items = [item for text in attempt.items for item in answer_items(text)]
        predicted = _sorted(piece for item in items for piece in item.split(","))
    precision, recall, f1 = overlap(predicted, gold)
    parts = {"f1": f1, "precision": precision, "recall": recall}
    return Verdict(correct=predicted == gold, parts=parts)


def _sorted(items: Iterable[str]) -> list[str]:
    """Return items normalised and sorted; an item of punctuation alone stays as it is."""
    return sorted(filter(None, (normalise(item) or item.strip() for item in items)))


METRIC = AnswerMetric(parts=("f1", "precision", "recall"), judge=judge, main=("f1",))
