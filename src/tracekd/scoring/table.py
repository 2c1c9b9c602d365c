"""Questions and what a student said of them -> the table of scores, one row per question."""

from collections.abc import Callable, Collection, Sequence
from typing import Any

import polars as pl

from tracekd import records
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.answers import metric
from tracekd.scoring.attempt import Attempt, answer_in_facts
from tracekd.scoring.traces import Step, TraceVerdict, score_trace
from tracekd.traces.grammar import Reading, read

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
        spec: the data set's entry in datasets.yaml.
        steps: the steps that the regime teaches.
        answer_part: cuts the answer out of a text in the grammar's place; it always finds one.

    Raises:
        TracekdError: if the predictions do not cover the questions; names the ids.
    """
    check_ids(questions["id"], predictions["id"])
    paired = questions.join(predictions, on="id", how="left", maintain_order="left")
    judge = metric(spec.answer_metric)
    rows = []
    for row in paired.iter_rows(named=True):
        reading = read(row["text"], spec.class_sentence)
        trace = score_trace(
            reading.trace, row["question_class"], row["step_facts"], row["context"], steps
        )
        answer = reading.answer_text
        items = reading.answers
        if answer_part is not None:
            answer = answer_part(row["text"])
            items = (answer,)
        verdict = judge.judge(attempt(row, answer or "", items))
        rows.append(
            {
                "id": row["id"],
                "question_class": row["question_class"],
                "parse_status": reading.form,
                "finish_reason": row["finish_reason"],
                "completion_tokens": row["completion_tokens"],
                "answer": answer,
                # A metric may find what it looks for in nothing; no answer is never right.
                "answer_correct": verdict.correct and answer is not None,
                **_trace_columns(trace, reading),
                "answer_in_trace": answer_in_facts(
                    reading.trace.facts, row["answers"], spec.answers
                ),
                "trace_tokens": _trace_tokens(row["text"], row["completion_tokens"]),
                **verdict.parts,
            }
        )
    schema = {**records.SCORES, **dict.fromkeys(judge.parts, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


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


def _trace_columns(trace: TraceVerdict, reading: Reading) -> dict[str, Any]:
    facts = trace.facts
    # A text without an answer stopped before its trace was complete: no trace to call right.
    correct = None if trace.correct is None else trace.correct and reading.form != "failed"
    return {
        "class_predicted": trace.class_name,
        "class_correct": trace.class_correct,
        "facts_predicted": facts and list(facts.predicted),
        "facts_precision": facts and facts.precision,
        "facts_recall": facts and facts.recall,
        "facts_f1": facts and facts.f1,
        "facts_exact": facts and facts.exact,
        "facts_lenient": facts and facts.lenient,
        "facts_unmatched": facts and facts.unmatched,
        "trace_correct": correct,
    }


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
