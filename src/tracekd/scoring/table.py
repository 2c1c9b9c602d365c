"""Questions and a student's predictions -> the table of scores, one row per question."""

from collections.abc import Callable, Collection
from dataclasses import replace

import polars as pl

from tracekd import records
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.answers import judge, metric_of
from tracekd.scoring.traces import class_words, score_trace
from tracekd.text import one_line, states_answer
from tracekd.traces.grammar import Grammar
from tracekd.traces.lenient import answer_items, answer_start
from tracekd.traces.regimes import Step

_SHOWN = 5
#: Characters of an output that a warning quotes.
_QUOTED = 200


def score(
    questions: pl.DataFrame,
    predictions: pl.DataFrame,
    spec: DatasetSpec,
    steps: Collection[Step],
    answer_part: Callable[[str], str] | None = None,
    *,
    untagged: bool = False,
    free_text: bool = False,
) -> pl.DataFrame:
    """Return one row per question, in the order of `questions` (`records.SCORES` and the parts).

    Args:
        questions: `records.DECOMPOSED`.
        predictions: `records.PREDICTIONS`; every question once and no other.
        spec: the dataset's entry in datasets.yaml.
        steps: the steps that the regime teaches.
        answer_part: cuts the answer out of a text instead of the grammar; it always finds one.
        untagged: as for `Grammar`.
        free_text: as for `Grammar`.

    Raises:
        TracekdError: if the predictions do not cover the questions; names the ids.
    """
    check_ids(questions["id"], predictions["id"])
    grammar = Grammar(spec.class_sentence, untagged=untagged, free_text=free_text)
    chosen = metric_of(spec)
    predicted = {row["id"]: row for row in predictions.iter_rows(named=True)}
    rows = []
    for question in questions.iter_rows(named=True):
        prediction = predicted[question["id"]]
        text, tokens = prediction["text"], prediction["completion_tokens"]
        reading = grammar.read(text)
        # Without quoted facts or free text there is nothing that could state the answer.
        quoted = [reading.trace.text] if reading.trace.text else reading.trace.facts or None
        if answer_part is not None:
            answer = answer_part(text)
            reading = replace(reading, answer_text=answer, answers=answer_items(answer))
        verdict, leaks = judge(question, reading, chosen), question["leaks"]
        row = {
            "id": question["id"],
            "question_class": question["question_class"],
            "leaked": None if leaks is None else "facts_taught" in leaks,
            "parse_status": reading.form,
            "finish_reason": prediction["finish_reason"],
            "completion_tokens": tokens,
            "answer": reading.answer_text,
            "answer_correct": verdict.correct,
            "answer_in_trace": states_answer(quoted, question["answers"], spec.answers),
            "trace_tokens": tokens * answer_start(text, untagged=untagged) / max(1, len(text)),
        }
        rows.append(row | score_trace(reading, question, steps) | dict(verdict.parts))
    schema = {**records.SCORES, **dict.fromkeys(chosen.parts, pl.Float64)}
    return pl.DataFrame(rows, schema=schema, orient="row")


def check_ids(questions: pl.Series, predictions: pl.Series) -> None:
    """Raise unless every question has exactly one prediction and every prediction a question."""
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
            f"{'; '.join(lines)}; run the infer stage again (dvc repro)"
        )


def name_ids(ids: Collection[str]) -> str:
    """Return the first ids in order, and how many more there are."""
    more = f", … ({len(ids) - _SHOWN} more)" if len(ids) > _SHOWN else ""
    return ", ".join(sorted(ids)[:_SHOWN]) + more


def unread_steps(scores: pl.DataFrame, predictions: pl.DataFrame) -> list[str]:
    """Return a warning for each scored step that most texts do not show in words that are known.

    Args:
        scores: the table of scores; a step that is not taught has no verdicts in it.
        predictions: `records.PREDICTIONS` of these questions; the first without it is quoted.
    """
    texts = dict(predictions.select("id", "text").iter_rows())
    classes = set(map(class_words, scores["question_class"]))
    named = [class_words(name or "") in classes for name in scores["class_predicted"]]
    quoted = scores["facts_predicted"].is_not_null().to_list()
    lines = []
    for step, verdict, shown, fault in (
        ("class", "class_correct", named, "name no class of these questions"),
        ("facts", "facts_exact", quoted, "quote no facts in words that are known"),
    ):
        missing = len(shown) - sum(shown)
        if scores[verdict].count() and missing > len(shown) / 2:
            lines.append(
                f"{step} step: {missing} of {len(shown)} outputs {fault}, and count as wrong; the "
                f"first of them: {quote(texts[scores['id'][shown.index(False)]])}"
            )
    return lines


def quote(text: str) -> str:
    """Return the beginning of an output, for a warning."""
    return repr(one_line(text)[:_QUOTED])
