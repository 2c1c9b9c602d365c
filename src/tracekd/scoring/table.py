"""Questions and what a student said of them -> the table of scores, one row per question."""

from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import polars as pl

from tracekd import pools, records
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.answers import metric
from tracekd.scoring.attempt import AnswerMetric, Attempt, answer_in_facts
from tracekd.scoring.traces import Step, TraceVerdict, score_trace
from tracekd.traces.grammar import Reading, one_lined, read

_SHOWN = 5
#: What is looked at of a question, and of what was said of it.
_ASKED = ("id", "question", "context", "answers", "question_class", "subtype", "step_facts")
_SAID = ("text", "finish_reason", "completion_tokens")
#: The context with each fact as one line.
_LINES = "context_lines"


def score(
    questions: pl.DataFrame,
    predictions: pl.DataFrame,
    spec: DatasetSpec,
    steps: Collection[Step],
    answer_part: Callable[[str], str] | None = None,
) -> pl.DataFrame:
    """Return one row per question, in the order of `questions` (`records.SCORES` and the parts).

    Args:
        questions: `records.DECOMPOSED`.
        predictions: `records.PREDICTIONS`; every question once and no other.
        spec: the data set's entry in datasets.yaml.
        steps: the steps that the regime teaches.
        answer_part: cuts the answer out of a text in the grammar's place; it always finds one.

    Raises:
        TracekdError: if the predictions do not cover the questions; names the ids.
    """
    check_ids(questions["id"], predictions["id"])
    paired = questions.join(predictions, on="id", how="left", maintain_order="left")
    judge = metric(spec.answer_metric)
    lined = pl.col("context").list.eval(one_lined(pl.element())).alias(_LINES)
    rows = [
        _row(row, judge, spec, steps, answer_part)
        for row in paired.select(*_ASKED, *_SAID, lined).iter_rows(named=True)
    ]
    schema = {**records.SCORES, **dict.fromkeys(judge.parts, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def score_file(
    questions: Path, predictions: pl.DataFrame, spec: DatasetSpec, steps: Collection[Step]
) -> pl.DataFrame:
    """Return `score` of a file of questions, part by part, many parts on all cores.

    Args:
        questions: a `records.DECOMPOSED` table.
        predictions: as for `score`.
        spec: as for `score`.
        steps: as for `score`.

    Raises:
        TracekdError: as `score`, or if the file is damaged.
    """
    ids = records.read_column(questions, records.DECOMPOSED, "id")
    check_ids(ids, predictions["id"])
    ordered = ids.to_frame().join(predictions, on="id", how="left", maintain_order="left")
    starts = records.part_starts(questions)
    items = ((start, ordered.slice(start, records.ROW_GROUP)) for start in starts)
    score_part = partial(_score_part, questions, spec, steps)
    parallel = len(starts) >= records.MANY_PARTS
    return pl.concat(pools.in_order(score_part, items, parallel=parallel), rechunk=True)


def _score_part(
    path: Path, spec: DatasetSpec, steps: Collection[Step], item: tuple[int, pl.DataFrame]
) -> pl.DataFrame:
    start, predictions = item
    return score(records.read_part(path, records.DECOMPOSED, start), predictions, spec, steps)


def _row(
    row: dict[str, Any],
    judge: AnswerMetric,
    spec: DatasetSpec,
    steps: Collection[Step],
    answer_part: Callable[[str], str] | None,
) -> tuple[Any, ...]:
    """Return a row of the table of scores from a question and what was said of it."""
    reading = read(row["text"], spec.class_sentence)
    trace = score_trace(reading.trace, row["question_class"], row["step_facts"], row[_LINES], steps)
    answer, items = reading.answer_text, reading.answers
    if answer_part is not None:
        answer = answer_part(row["text"])
        items = (answer,)
    verdict = judge.judge(attempt(row, answer or "", items))
    return (
        row["id"],
        row["question_class"],
        reading.form,
        row["finish_reason"],
        row["completion_tokens"],
        answer,
        # A metric may find what it looks for in nothing; no answer is never right.
        verdict.correct and answer is not None,
        *_trace_columns(trace, reading),
        answer_in_facts(reading.trace.facts, row["answers"], spec.answers),
        _trace_tokens(row["text"], row["completion_tokens"]),
        *(verdict.parts[part] for part in judge.parts),
    )


def check_ids(questions: pl.Series, predictions: pl.Series) -> None:
    """Raise unless every question has exactly one prediction and every prediction a question.

    Raises:
        TracekdError: naming the first ids that are missing, repeated or unknown.
    """
    asked, answered = set(questions), set(predictions)
    faults = {
        "questions without a prediction": asked - answered,
        "predictions of unknown questions": answered - asked,
        "questions predicted more than once": set(predictions.filter(predictions.is_duplicated())),
    }
    lines = [f"{len(ids)} {fault}: {name_ids(ids)}" for fault, ids in faults.items() if ids]
    if lines:
        raise TracekdError(
            "data/predictions.parquet: does not fit data/decomposed/test.parquet: "
            + "; ".join(lines)
            + "; run the infer stage again (dvc repro)"
        )


def name_ids(ids: Collection[str]) -> str:
    """Return the first ids in order, and how many more there are."""
    more = f", … ({len(ids) - _SHOWN} more)" if len(ids) > _SHOWN else ""
    return ", ".join(sorted(ids)[:_SHOWN]) + more


def attempt(question: dict[str, Any], text: str, items: Sequence[str]) -> Attempt:
    """Return what the metric is given, from a row of the questions and an answer read."""
    return Attempt(
        question=question["question"],
        context=question["context"],
        answers=question["answers"],
        subtype=question["subtype"],
        text=text,
        items=items,
    )


def _trace_columns(trace: TraceVerdict, reading: Reading) -> tuple[Any, ...]:
    """Return the columns of `records.SCORES` from class_predicted to trace_correct."""
    facts = trace.facts
    # A text without an answer stopped before its trace was complete: no trace to call right.
    correct = None if trace.correct is None else trace.correct and reading.form != "failed"
    if facts is None:
        return trace.class_name, trace.class_correct, *[None] * 7, correct
    return (
        trace.class_name,
        trace.class_correct,
        facts.predicted,
        facts.precision,
        facts.recall,
        facts.f1,
        facts.exact,
        facts.lenient,
        facts.unmatched,
        correct,
    )


def _trace_tokens(text: str, tokens: int) -> float:
    """Return the tokens in front of the answer part, apportioned by characters."""
    if not text:
        return 0.0
    lowered = text.lower()
    end = lowered.find("<answer>")
    if end < 0:
        closed = lowered.find("</think>")
        end = closed + len("</think>") if closed >= 0 else len(text) * ("<think>" in lowered)
    return tokens * end / len(text)
