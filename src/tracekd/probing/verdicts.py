"""Probes -> a verdict on each answer: is it right, is it stated in the wrong facts shown?"""

from collections.abc import Mapping, Sequence
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.probing.effects import effects_of_traces, reasons
from tracekd.probing.plans import own_trace
from tracekd.scoring.answers import answer_key, judge, metric_of
from tracekd.scoring.table import name_ids
from tracekd.statistics.values import settle
from tracekd.text import states_answer
from tracekd.traces.grammar import Grammar

#: One row per question and probe.
#:   answer_in_facts  whether the gold facts state the gold answer: "stated" or "not_stated"
#:   applied       whether the probe was run; the columns below are null where it was not
#:   answer        the answer's items, normalised and sorted, as one text; "" if there is none.
#:                 Two answers are the same if these are
#:   correct       by the dataset's metric; no answer is never right
#:   from_wrong    whether the facts of the question's `incorrect` trace state the answer and it is
#:                 not right; null too where that shows nothing (`_telltale_facts`)
#:   repeats       whether the answer is the one that the student itself gave after the same trace;
#:                 null except for the probe `own`
VERDICTS: Mapping[str, Any] = {
    "id": pl.String,
    "question_class": pl.String,
    "answer_in_facts": pl.String,
    "probe": pl.String,
    "applied": pl.Boolean,
    "trace_tokens": pl.Int32,
    "answer": pl.String,
    "correct": pl.Boolean,
    "gold_logprob": pl.Float64,
    "from_wrong": pl.Boolean,
    "repeats": pl.Boolean,
    "note": pl.String,
}


def report(
    probes: pl.DataFrame, predictions: pl.DataFrame, questions: pl.DataFrame, spec: DatasetSpec
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the section `probes` of details.json, and why numbers are undefined (path -> reason).

    Both are empty if probes were off. Arguments and errors as for `judge_probes`.
    """
    if probes.is_empty():
        return {}, {}
    verdicts = judge_probes(probes, predictions, questions, spec)
    section, undefined = settle({"probes": effects_of_traces(verdicts)})
    not_run = {f"probes.{path}": reason for path, reason in reasons(verdicts).items()}
    return section, {**not_run, **undefined}


def judge_probes(
    probes: pl.DataFrame, predictions: pl.DataFrame, questions: pl.DataFrame, spec: DatasetSpec
) -> pl.DataFrame:
    """Return a row of `VERDICTS` for each row of `probes`, in their order.

    Raises:
        TracekdError: if a probed question is not among `questions` or has no prediction; names the
            ids.
    """
    probed = set(probes["id"])
    by_id = {row["id"]: row for row in questions.iter_rows(named=True) if row["id"] in probed}
    predicted = dict(predictions.select("id", "text").iter_rows())
    unknown = probed - (by_id.keys() & predicted.keys())
    if unknown:
        raise TracekdError(
            f"data/probes.parquet: probes of {len(unknown)} questions that are unknown or have no "
            f"prediction: {name_ids(unknown)}; run the probe stage again (dvc repro)"
        )
    shown = probes.filter(pl.col("probe") == "incorrect").select("id", "trace")
    telltale = {key: _telltale_facts(trace, by_id[key], spec) for key, trace in shown.iter_rows()}
    rows = [
        _verdict(row, by_id[row["id"]], predicted[row["id"]], telltale.get(row["id"]), spec)
        for row in probes.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=VERDICTS, orient="row")


def _verdict(
    row: Mapping[str, Any],
    question: Mapping[str, Any],
    prediction: str,
    wrong_facts: Sequence[str] | None,
    spec: DatasetSpec,
) -> dict[str, Any]:
    applied = row["finish_reason"] != "not_applicable"
    known = {
        **{column: row[column] for column in ("id", "probe", "trace_tokens", "note")},
        "question_class": question["question_class"],
        "answer_in_facts": "stated" if question["answer_in_facts"] else "not_stated",
        "applied": applied,
    }
    if not applied:
        return known
    grammar = Grammar(spec.class_sentence)
    reading = grammar.read(row["text"])
    correct = judge(question, reading, metric_of(spec)).correct
    answer = answer_key(reading.answers, spec.answers)
    from_wrong: bool | None = None
    repeats: bool | None = None
    if wrong_facts is not None:
        stated = bool(reading.answers) and states_answer(wrong_facts, reading.answers, "all")
        from_wrong = stated and not correct
    if row["probe"] == "own":
        # Read from its answer part alone, as a probe's answer is.
        part = prediction[len(own_trace(prediction) or "") :]
        repeats = answer == answer_key(grammar.read(part).answers, spec.answers)
    return known | {
        "answer": answer,
        "correct": correct,
        "gold_logprob": row["gold_logprob"],
        "from_wrong": from_wrong,
        "repeats": repeats,
    }


def _telltale_facts(
    trace: str, question: Mapping[str, Any], spec: DatasetSpec
) -> tuple[str, ...] | None:
    """Return the wrong facts shown if an answer taken from them differs from a right one.

    It does if the answer is of a kind that facts state (the gold facts state the gold answer) and
    the wrong facts do not state the gold answer. None elsewhere.
    """
    facts = Grammar(spec.class_sentence).read_trace(trace).trace.facts
    if not facts or not question["answer_in_facts"]:
        return None
    return None if states_answer(facts, question["answers"], spec.answers) else facts
