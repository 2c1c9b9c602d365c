"""What a teacher wrote -> rows of `TEACHER`: verdicts, and which traces may be taught."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import polars as pl

from tracekd.config import DatasetSpec, TraceKind
from tracekd.records import check
from tracekd.scoring.answers import judge, metric_of
from tracekd.scoring.quality import TextJudge, quality_table
from tracekd.scoring.traces import score_trace
from tracekd.teacher.replies import OK, Reply, Written, final_answer
from tracekd.traces.form import Reading, Trace
from tracekd.traces.grammar import Grammar
from tracekd.traces.lenient import answer_items
from tracekd.traces.taught import TEACHER

_USABLE = pl.col("status") == OK
_RIGHT = _USABLE & pl.col("answer_correct").fill_null(False)
_FIRST = pl.col("sample") == pl.col("sample").filter(_RIGHT).min()
#: `teacher.keep` -> the rows that may be taught.
_KEEP = {
    "all": _USABLE,
    "answer_right": _RIGHT,
    "first_right": _RIGHT & _FIRST.over("id", "kind").fill_null(False),
    "trace_right": _USABLE & pl.col("trace_correct").fill_null(False),
    "trace_wrong": _USABLE & ~pl.col("trace_correct").fill_null(True),
}


class Draft(NamedTuple):
    """One text by a teacher on a question (a row of `records.DECOMPOSED`), before any verdict."""

    question: Mapping[str, Any]
    kind: TraceKind
    sample: int
    written: Written
    reply: Reply


def table_of(
    drafts: Iterable[Draft], tables: Iterable[pl.DataFrame], spec: DatasetSpec, keep: str
) -> pl.DataFrame:
    """Return drafts with verdicts, `TEACHER`, in their order.

    `tables` are `records.DECOMPOSED`, all splits: the possible answers of a class come from them.
    """
    texts, chosen = TextJudge(tables, spec), metric_of(spec)
    grammar = Grammar(spec.class_sentence)
    rows = []
    for question, kind, sample, written, reply in drafts:
        row: dict[str, Any] = {
            "id": question["id"],
            "kind": kind,
            "sample": sample,
            **written._asdict(),
            "kept": False,
            "finish_reason": reply.finish_reason,
            "prompt_tokens": reply.prompt_tokens,
            "completion_tokens": reply.completion_tokens,
        }
        final = final_answer(written.answer)
        if final:
            reading = Reading("lenient", Trace(), final, answer_items(final))
            row["answer_correct"] = judge(question, reading, chosen).correct
        if written.text:
            row |= texts.judge(question, written.text, final)
            covered = row["facts_lenient"] in (None, 1.0)
            right = row["states_answer"] and covered and not row["contradicts"]
            if kind == "steps":
                read = grammar.read_trace(written.text)
                right = score_trace(read, question, ("class", "facts"))["trace_correct"]
            row["trace_correct"] = right
        rows.append(row)
    made = pl.DataFrame(rows, schema=TEACHER).with_columns(kept=_KEEP[keep])
    return check(made, TEACHER, "teacher's traces")


def manifest(traces: pl.DataFrame, tables: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return what a `TEACHER` table has of each kind, and what was kept by split and class."""
    kinds = {}
    for (kind,), rows in sorted(traces.group_by("kind", maintain_order=True)):
        with_text = rows.filter(pl.col("text") != "")
        kinds[str(kind)] = {
            "replies": rows.height,
            "statuses": dict(sorted(Counter(rows["status"]).items())),
            "kept": int(rows["kept"].sum()),
            "answer_right": rows["answer_correct"].mean(),
            "trace_right": rows["trace_correct"].mean(),
            "quality": quality_table(with_text) if with_text.height else {"texts": 0},
            "splits": {split: _selected(table, rows) for split, table in tables.items()},
        }
    return {"kinds": kinds}


def _selected(table: pl.DataFrame, rows: pl.DataFrame) -> dict[str, Any]:
    asked, kept = set(rows["id"]), set(rows.filter("kept")["id"])

    def counts(part: pl.DataFrame) -> dict[str, int]:
        ids = set(part["id"])
        return {
            "questions": len(ids),
            "asked": len(ids & asked),
            "with_kept_trace": len(ids & kept),
        }

    classes = sorted(table.group_by("question_class"))
    return counts(table) | {"classes": {str(name): counts(part) for (name,), part in classes}}
