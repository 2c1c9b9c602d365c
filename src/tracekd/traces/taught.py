"""A teacher's traces as regimes show them: which questions have one, and which of several."""

from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

from tracekd import randomness
from tracekd.config import DatasetSpec, TeacherParams
from tracekd.errors import TracekdError
from tracekd.records import Schema
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import regime

#: What a free text says about its question; `tracekd.scoring.quality` documents the columns.
QUALITY = {
    "states_answer": pl.Boolean,
    "keeps_answer": pl.Boolean,
    "contradicts": pl.Boolean,
    "facts_exact": pl.Float64,
    "facts_lenient": pl.Float64,
    "distractors": pl.Int32,
    "class_named": pl.Boolean,
    "words": pl.Int32,
}

#: teach -> build-sft, analyze: what a teacher wrote; no row without a teacher.
#:   kind             "trace", "summary" and "explanation" of a trace, or "steps"
#:   sample           number of the trace, from 0; of summary and explanation that of their trace
#:   status           "ok", or why the text cannot be used: see `tracekd.teacher.replies`
#:   text             the trace; "" if there is none
#:   answer           the teacher's own answer, as it gave it; "" if there is none
#:   answer_correct   by the dataset's official metric; null if there is no answer
#:   trace_correct    steps: class and facts are those of the gold trace; other kinds: the text
#:                    covers all gold facts and states the gold answer, and does not contradict its
#:                    own; null if there is no text
#:   kept             whether it may be taught (`teacher.keep`)
#:   finish_reason    as the server gives it; "" in traces from a file, which have no tokens either
TEACHER = Schema(
    {
        "id": pl.String,
        "kind": pl.String,
        "sample": pl.Int32,
        "status": pl.String,
        "text": pl.String,
        "answer": pl.String,
        "answer_correct": pl.Boolean,
        "trace_correct": pl.Boolean,
        **QUALITY,
        "kept": pl.Boolean,
        "finish_reason": pl.String,
        "prompt_tokens": pl.Int32,
        "completion_tokens": pl.Int32,
    },
    nullable=("answer_correct", "trace_correct", *QUALITY),
)


@dataclass(frozen=True)
class Taught:
    """Kept traces, and the teacher's own answers, by kind and question."""

    traces: Mapping[str, Mapping[str, Trace]]
    answers: Mapping[str, Mapping[str, list[str]]]


def taught_of(table: pl.DataFrame, spec: DatasetSpec, seed: int) -> Taught:
    """Return of a `TEACHER` table one kept trace per kind and question.

    Of several kept ones it is drawn as a pure function of (seed, id): the same sample for every
    kind, where it has one.
    """
    grammar = Grammar(spec.class_sentence)
    traces: dict[str, dict[str, Trace]] = {}
    answers: dict[str, dict[str, list[str]]] = {}
    kept = table.filter("kept").sort("sample")
    for (kind, key), rows in kept.group_by("kind", "id", maintain_order=True):
        samples = rows.rows(named=True)
        row = min(samples, key=lambda one: randomness.digest(seed, "sample", key, one["sample"]))
        trace = Trace(text=row["text"])
        if kind == "steps":
            trace = grammar.read_trace(row["text"]).trace
        traces.setdefault(str(kind), {})[str(key)] = trace
        answers.setdefault(str(kind), {})[str(key)] = [row["answer"]] if row["answer"] else []
    return Taught(traces, answers)


def with_traces(
    tables: Mapping[str, pl.DataFrame], taught: Taught, trace_mode: str, teacher: TeacherParams
) -> dict[str, pl.DataFrame]:
    """Return the questions that a regime may be taught; test questions all stay.

    A regime of a teacher's traces needs one of its kind; with `teacher.match`, every regime is
    taught only questions with a trace of each kind that the teacher was asked for. `tables` are
    `records.DECOMPOSED` by split.

    Raises:
        TracekdError: if there is no such trace in the training or validation questions.
    """
    needed = {regime(trace_mode).teacher} - {None}
    kinds = {*taught.traces, *needed} if teacher.match else needed
    if not kinds and not teacher.match:
        return dict(tables)
    ids = [set(taught.traces.get(str(kind), {})) for kind in kinds]
    known = list(set.intersection(*ids)) if ids else []
    left = {}
    for split, table in tables.items():
        left[split] = table if split == "test" else table.filter(pl.col("id").is_in(known))
        if not left[split].height:
            wanted = ", ".join(sorted(map(str, kinds))) or "any kind"
            raise TracekdError(
                f"params.yaml: trace_mode: {trace_mode}, teacher.match: {teacher.match}: no "
                f"{split} question has a kept trace ({wanted}) by teacher.name: {teacher.name}; "
                "choose a teacher whose entry in teachers.yaml asks for it, or another "
                "teacher.keep (data/teacher/manifest.json counts what was kept)"
            )
    return left
