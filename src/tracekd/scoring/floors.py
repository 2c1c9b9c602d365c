"""Floors: how often answers that need no model are right, by the dataset's own answer metric.

A student that stays below one of them has not learned what the floor shows, and a metric that finds
an empty answer or the whole context right measures something else than the answer.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.scoring.answers import judge, metric
from tracekd.text import normalise
from tracekd.traces.form import SEPARATOR, Reading, Trace

#: The items of an answer.
_Answer = tuple[str, ...]


def floors(questions: pl.DataFrame, training: pl.DataFrame, spec: DatasetSpec) -> dict[str, float]:
    """Return the accuracy of each floor on some questions.

    Args:
        questions: `records.DECOMPOSED`.
        training: the same of the training split, where the majorities come from.
        spec: the dataset's entry in datasets.yaml.
    """
    majority = _majority(training, spec)
    floors: dict[str, Callable[[Mapping[str, Any]], _Answer]] = {
        "majority answer of the class": majority,
        "last word of the last fact": lambda row: (_last_word(row["context"][-1]),),
        "empty answer": lambda _: ("",),
        "whole context": lambda row: (" ".join(row["context"]),),
    }
    chosen, rows = metric(spec.answer_metric), questions.to_dicts()
    return {
        name: sum(judge(row, _reading(answer(row)), chosen).correct for row in rows) / len(rows)
        for name, answer in floors.items()
    }


def _majority(training: pl.DataFrame, spec: DatasetSpec) -> Callable[[Mapping[str, Any]], _Answer]:
    """Return question -> the most frequent answer of its class, or of all if it has none."""
    counts: dict[str | None, Counter[_Answer]] = defaultdict(Counter)
    for name, answers in training.select("question_class", "answers").iter_rows():
        # Alternatives are counted by the first, which is the one that is taught.
        answer = tuple(answers if spec.answers == "all" else answers[:1])
        counts[name][answer] += 1
        counts[None][answer] += 1
    most = {name: min(few, key=lambda one: (-few[one], one)) for name, few in counts.items()}
    return lambda row: most.get(row["question_class"], most[None])


def _last_word(text: str) -> str:
    return normalise(text).rpartition(" ")[2]


def _reading(answer: _Answer) -> Reading:
    return Reading("strict", Trace(), SEPARATOR.join(answer), answer)
