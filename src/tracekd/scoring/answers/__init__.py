"""Answer metrics: one module each, found by its name (`answer_metric` in datasets.yaml).

To add one, write NAME.py in this folder with `METRIC = AnswerMetric(...)`.
"""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal, NamedTuple

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.records import SCORES
from tracekd.text import normalise
from tracekd.traces.form import Reading


class Attempt(NamedTuple):
    """A question (fields as in `tracekd.records.QUESTIONS`) and an answer to it.

    `text` is the answer as one string, "" if none could be read; `items` are its parts, split at
    the grammar's separators.
    """

    question: str
    context: Sequence[str]
    answers: Sequence[str]
    subtype: str | None
    text: str
    items: Sequence[str]


class Verdict(NamedTuple):
    """A metric's verdict on one answer: what enters the 2x2, and the metric's further numbers.

    `parts` has the same keys for every answer, None where undefined.
    """

    correct: bool
    parts: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class AnswerMetric:
    """An official answer metric.

    Attributes:
        parts: keys of every verdict's parts, columns of the table of scores.
        judge: attempt -> verdict; raises ValueError if the question lacks what the metric needs.
        figures: rows of the table of scores -> the figures of these rows together, None where
            undefined. By default the mean of each part.
        main: at most two of the figures, those that metrics.json shows.
        answers: whether a question's answers together make the answer, or are alternatives; the
            entry in datasets.yaml must agree.
        corrected: parts of a corrected metric beside the published one, its verdict first.
        candidates: row of `records.QUESTIONS` -> what could be its answer, for verdicts on free
            texts; by default the answers to all questions of its class.
    """

    parts: tuple[str, ...]
    judge: Callable[[Attempt], Verdict]
    figures: Callable[[pl.DataFrame], dict[str, float | None]] | None = None
    main: tuple[str, ...] = ()
    answers: Literal["all", "any"] = "all"
    corrected: tuple[str, ...] = ()
    candidates: Callable[[Mapping[str, Any]], Collection[str]] | None = None

    def __post_init__(self) -> None:
        """Refuse parts that could be taken for other columns of the table of scores."""
        taken = {*SCORES, "accuracy"}
        if isinstance(self.parts, str) or taken & set(self.parts):
            raise TracekdError(
                f"answer metric {self.judge.__module__}: parts must be a tuple of names that are "
                f"not taken ({', '.join(sorted(taken))}); found {self.parts!r}"
            )

    def summarise(self, scores: pl.DataFrame) -> dict[str, float | None]:
        """Return the metric's figures of some rows of the table of scores."""
        if self.figures is not None:
            return self.figures(scores)
        return scores.select(pl.col(self.parts).mean()).row(0, named=True)


def metric(name: str) -> AnswerMetric:
    """Return the answer metric of the module of that name."""
    chosen: AnswerMetric = import_module(f"{__name__}.{name}").METRIC
    return chosen


def metric_of(spec: DatasetSpec) -> AnswerMetric:
    """Return a dataset's answer metric; it is an error if the two read `answers` differently."""
    chosen = metric(spec.answer_metric)
    if chosen.answers != spec.answers:
        raise TracekdError(
            f"datasets.yaml: {spec.name}: answers: {spec.answers} contradicts answer_metric: "
            f"{spec.answer_metric}, which needs answers: {chosen.answers} (all: items of one "
            "answer; any: alternatives)"
        )
    return chosen


def judge(question: Mapping[str, Any], reading: Reading, chosen: AnswerMetric) -> Verdict:
    """Return a metric's verdict on the answer to a `records.QUESTIONS` row; none is never right.

    Raises:
        TracekdError: naming the question, if the metric cannot score it or contradicts itself.
    """
    asked = {name: question[name] for name in ("question", "context", "answers", "subtype")}
    attempt = Attempt(**asked, text=reading.answer_text or "", items=reading.answers)
    try:
        verdict = chosen.judge(attempt)
    except ValueError as error:
        raise TracekdError(f"{question['id']}: the answer cannot be scored: {error}") from error
    if verdict.correct and verdict.parts.get("f1") == 0:
        raise TracekdError(f"{question['id']}: the metric contradicts itself: right, with f1 0")
    return verdict._replace(correct=verdict.correct and reading.answer_text is not None)


def answer_key(items: Sequence[str], answers: Literal["all", "any"]) -> str:
    """Return an answer's items as one text, the same for answers that are the same.

    As in the metrics, commas separate the items of a list (`all`) as the grammar's ";" does.
    """
    pieces = [piece for i in items for piece in i.split(",")] if answers == "all" else items
    return "; ".join(sorted(filter(None, (normalise(i) or i.strip() for i in pieces))))


def overlap(predicted: Sequence[str], gold: Sequence[str]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of two multisets; all 0 if nothing is shared."""
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if not shared:
        return 0.0, 0.0, 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return precision, recall, 2 * precision * recall / (precision + recall)
