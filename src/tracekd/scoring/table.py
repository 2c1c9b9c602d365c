"""Questions and a student's predictions -> the table of scores, one row per question."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any

import polars as pl

from tracekd import records
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.answers import judge, metric
from tracekd.scoring.traces import Step, score_trace
from tracekd.text import states_answer
from tracekd.traces.grammar import Grammar
from tracekd.traces.lenient import UNFINISHED

_SHOWN = 5


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
        spec: the dataset's entry in datasets.yaml.
        steps: the steps that the regime teaches.
        answer_part: cuts the answer out of a text instead of the grammar; it always finds one.

    Raises:
        TracekdError: if the predictions do not cover the questions; names the ids.
    """
    check_ids(questions["id"], predictions["id"])
    predicted = {row["id"]: row for row in predictions.iter_rows(named=True)}
    rows = [
        _score(question, predicted[question["id"]], spec, steps, answer_part)
        for question in questions.iter_rows(named=True)
    ]
    parts = dict.fromkeys(metric(spec.answer_metric).parts, pl.Float64)
    return pl.DataFrame(rows, schema={**records.SCORES, **parts}, orient="row")


def _score(
    question: Mapping[str, Any],
    prediction: Mapping[str, Any],
    spec: DatasetSpec,
    steps: Collection[Step],
    answer_part: Callable[[str], str] | None,
) -> dict[str, Any]:
    text, tokens = prediction["text"], prediction["completion_tokens"]
    reading = Grammar(spec.class_sentence).read(text)
    if answer_part is not None:
        answer = answer_part(text)
        reading = replace(reading, answer_text=answer, answers=(answer,))
    verdict = judge(question, reading, metric(spec.answer_metric))
    return {
        "id": question["id"],
        "question_class": question["question_class"],
        "parse_status": reading.form,
        "finish_reason": prediction["finish_reason"],
        "completion_tokens": tokens,
        "answer": reading.answer_text,
        "answer_correct": verdict.correct,
        **score_trace(reading, question, steps),
        # Without quoted facts there is nothing that could state the answer.
        "answer_in_trace": states_answer(
            reading.trace.facts or None, question["answers"], spec.answers
        ),
        "trace_tokens": tokens * _answer_start(text) / max(1, len(text)),
        **verdict.parts,
    }


def check_ids(questions: pl.Series, predictions: pl.Series) -> None:
    """Raise unless every question has exactly one prediction and every prediction a question.

    Raises:
        TracekdError: naming the first ids that are missing, duplicate or unknown.
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


def _answer_start(text: str) -> int:
    """Return how many characters, in lower case, precede the answer part."""
    lower = text.lower()
    if (opened := lower.find("<answer>")) >= 0:
        return opened
    if (closed := lower.rfind("</think>")) >= 0:
        return closed + len("</think>")
    return len(text) if UNFINISHED.search(text) else 0
