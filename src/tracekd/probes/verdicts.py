"""Probes -> a verdict on each answer: is it right, does it stand in the wrong facts shown?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tracekd import records, tables
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.probes.effects import effects_of_traces, reasons
from tracekd.probes.plans import CUTS, own_trace
from tracekd.scoring.answers import metric
from tracekd.scoring.attempt import Attempt, answer_in_facts, normalise
from tracekd.scoring.table import name_ids
from tracekd.statistics.values import settle
from tracekd.traces.reading import read

#: One row per question and probe.
#:   applied       whether the probe was run; the columns below are null where it was not
#:   answer        the answer's items, normalised and sorted, as one text; "" if there is none.
#:                 Two answers are the same if these are
#:   correct       by the data set's metric; no answer is never right
#:   from_wrong    whether the answer stands in the facts of the question's `incorrect` trace and is
#:                 not right; null too where that could not tell (`_telltale_facts`)
#:   repeats       whether the answer is the one that the student itself gave behind the same trace;
#:                 null but for the probe `own`
VERDICTS: Mapping[str, Any] = {
    "id": pl.String,
    "question_class": pl.String,
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

_EMPTY_ANSWER = "<answer></answer>"


def report(
    probes: pl.DataFrame, predictions: pl.DataFrame, questions: pl.DataFrame, spec: DatasetSpec
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what joins metrics.json, the section `probes`, and what joins notes.json.

    Both are empty if probes were off. Arguments and errors as for `judge_probes`.
    """
    if probes.is_empty():
        return {}, {}
    verdicts = judge_probes(probes, predictions, questions, spec)
    section, undefined = settle({"probes": effects_of_traces(verdicts, CUTS)})
    unasked = {f"probes.{path}": reason for path, reason in reasons(verdicts).items()}
    return section, {**unasked, **undefined}


def report_file(
    probes: Path, predictions: Path, questions: Path, spec: DatasetSpec
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return `report` of files, of which only the first is read if probes were off."""
    asked = tables.read(probes, records.PROBES)
    if asked.is_empty():
        return {}, {}
    said = tables.read(predictions, records.PREDICTIONS)
    return report(asked, said, tables.read(questions, records.DECOMPOSED), spec)


def judge_probes(
    probes: pl.DataFrame, predictions: pl.DataFrame, questions: pl.DataFrame, spec: DatasetSpec
) -> pl.DataFrame:
    """Return a row of `VERDICTS` for each row of `probes`, in their order.

    Args:
        probes: `records.PROBES`.
        predictions: `records.PREDICTIONS`; at least of the questions that were probed.
        questions: `records.DECOMPOSED`; at least the questions that were probed.
        spec: the data set's entry in datasets.yaml.

    Raises:
        TracekdError: if a probed question is not among `questions` or has no prediction; names the
            ids.
    """
    unknown = set(probes["id"]) - (set(questions["id"]) & set(predictions["id"]))
    if unknown:
        raise TracekdError(
            f"data/probes.parquet: probes of {len(unknown)} unknown or unanswered "
            f"questions: {name_ids(unknown)}; run the infer stage again (dvc repro)"
        )
    probed = questions.join(probes.select("id").unique(), on="id", how="semi")
    asked = {row["id"]: row for row in probed.iter_rows(named=True)}
    shown = probes.filter(pl.col("probe") == "incorrect")
    telltale = {
        key: _telltale_facts(trace, asked[key], spec)
        for key, trace in shown.select("id", "trace").iter_rows()
    }
    of_probed = predictions.join(probes.select("id").unique(), on="id", how="semi")
    said = dict(of_probed.select("id", "text").iter_rows())
    rows = [
        _verdict(row, asked[row["id"]], said[row["id"]], telltale.get(row["id"]), spec)
        for row in probes.iter_rows(named=True)
    ]
    return pl.DataFrame(rows, schema=VERDICTS, orient="row")


def _verdict(
    row: Mapping[str, Any],
    question: dict[str, Any],
    said: str,
    wrong_facts: Sequence[str] | None,
    spec: DatasetSpec,
) -> dict[str, Any]:
    told = {
        "id": row["id"],
        "question_class": question["question_class"],
        "probe": row["probe"],
        "applied": row["finish_reason"] != "not_applicable",
        "trace_tokens": row["trace_tokens"],
        "note": row["note"],
    }
    if not told["applied"]:
        return told
    reading = read(row["text"], spec.class_sentence)
    text, items = reading.answer_text or "", reading.answers
    asked = {column: question[column] for column in ("question", "context", "answers", "subtype")}
    judges = metric(spec.answer_metric)
    if not judges.reads_context:  # it gets none from `judge_answers` either
        asked["context"] = ()
    judged = judges.judge(Attempt(**asked, text=text, items=items))
    correct = judged.correct and reading.answer_text is not None
    follows = bool(items) and bool(answer_in_facts(wrong_facts, items, "all")) and not correct
    answer = _comparable(items, spec)
    return told | {
        "answer": answer,
        "correct": correct,
        "gold_logprob": row["gold_logprob"],
        "from_wrong": None if wrong_facts is None else follows,
        "repeats": answer == _own_answer(said, spec) if row["probe"] == "own" else None,
    }


def _own_answer(said: str, spec: DatasetSpec) -> str:
    """Return the answer in the student's own text, read from its answer part alone as a probe's."""
    part = said[len(own_trace(said) or "") :]
    return _comparable(read(part, spec.class_sentence).answers, spec)


def _comparable(items: Sequence[str], spec: DatasetSpec) -> str:
    """Return an answer's items as one text, the same for answers that are the same."""
    # As the metrics have it, a list is the same with commas as with the grammar's ";".
    said = [piece for i in items for piece in i.split(",")] if spec.answers == "all" else items
    return "; ".join(sorted(filter(None, (normalise(i) or i.strip() for i in said))))


def _telltale_facts(
    trace: str, question: Mapping[str, Any], spec: DatasetSpec
) -> tuple[str, ...] | None:
    """Return the wrong facts shown, if an answer out of them can be told from a right one.

    It can where the answer is of a kind that facts state (the gold facts state the gold one) and
    the wrong facts do not state the gold answer. None elsewhere.
    """
    facts = read(trace + _EMPTY_ANSWER, spec.class_sentence).trace.facts
    if not facts or not question["answer_in_facts"]:
        return None
    stated = answer_in_facts(facts, question["answers"], spec.answers)
    return None if stated else facts
