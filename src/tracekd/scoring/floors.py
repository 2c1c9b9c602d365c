"""Floors: how often answers that need no model are right, by the dataset's own answer metric.

A student that stays below one of them has not learned what the floor shows, and a metric that finds
an empty answer or the whole context right measures something else than the answer.
"""

from collections import Counter, defaultdict
from collections.abc import Mapping
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.datasets import UNANSWERABLE
from tracekd.scoring.answers import judge, metric_of
from tracekd.text import normalise
from tracekd.traces.form import SEPARATOR, Reading, Trace


def floors(questions: pl.DataFrame, training: pl.DataFrame, spec: DatasetSpec) -> dict[str, float]:
    """Return the accuracy of each floor on some questions; majorities are those of `training`.

    Both tables are `records.DECOMPOSED`.
    """
    most, chosen = _majorities(training, spec), metric_of(spec)
    right: Counter[str] = Counter()
    for row in questions.iter_rows(named=True):
        answers = {
            "majority answer of the class": most.get(row["question_class"], most[None]),
            "last word of the last fact": (normalise(row["context"][-1]).rpartition(" ")[2],),
            "empty answer": ("",),
            "refusal": (UNANSWERABLE,),
            "whole context": (" ".join(row["context"]),),
        }
        for name, items in answers.items():
            reading = Reading("strict", Trace(), SEPARATOR.join(items), items)
            right[name] += judge(row, reading, chosen).correct
    return {name: count / questions.height for name, count in right.items()}


def _majorities(training: pl.DataFrame, spec: DatasetSpec) -> Mapping[Any, tuple[str, ...]]:
    """Return class -> its most frequent answer; None -> that of all questions."""
    counts: dict[str | None, Counter[tuple[str, ...]]] = defaultdict(Counter)
    for name, answers in training.select("question_class", "answers").iter_rows():
        # Alternatives are counted by the first, which is the one that is taught.
        answer = tuple(answers if spec.answers == "all" else answers[:1])
        counts[name][answer] += 1
        counts[None][answer] += 1
    return {name: min(few, key=lambda one: (-few[one], one)) for name, few in counts.items()}
