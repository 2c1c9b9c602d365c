"""The stage `teach`: questions and a teacher -> its traces with verdicts, and a manifest."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tracekd.config import DatasetSpec, Params, TeacherSpec
from tracekd.datasets.splits import stratified_order
from tracekd.errors import TracekdError
from tracekd.files import atomic_file
from tracekd.teacher.asking import Chain, chains, estimate
from tracekd.teacher.cache import ReplyCache, reply_cache
from tracekd.teacher.endpoint import Endpoint
from tracekd.teacher.local import LocalTeacher
from tracekd.teacher.prompts import general_slots
from tracekd.teacher.published import read_traces
from tracekd.teacher.replies import OK
from tracekd.teacher.table import Draft, manifest, table_of
from tracekd.traces.examples import classes_of
from tracekd.traces.grammar import Grammar
from tracekd.traces.taught import TEACHER

#: In this order, so that a budget covers validation, then as much of train as it can.
_ORDER = ("validation", "train", "test")


class Task(NamedTuple):
    """Whom to ask about which questions (`records.DECOMPOSED` by split); `models`: models.yaml."""

    spec: TeacherSpec
    tables: Mapping[str, pl.DataFrame]
    params: Params
    dataset: DatasetSpec
    models: Path

    @property
    def questions(self) -> list[dict[str, Any]]:
        """The questions in order; the first of each split are stratified by class."""
        tables = [self.tables[split] for split in _ORDER if self.tables[split].height]
        seed = self.params.data_seed
        return [row for table in tables for row in table[stratified_order(table, seed)].to_dicts()]


def teach(task: Task) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return what the teacher writes, as a table `TEACHER`, and the manifest."""
    spec, tables, params = task.spec, task.tables, task.params.teacher
    if spec.name == "none":
        return pl.DataFrame(schema=TEACHER), {"teacher": spec.name}
    if spec.endpoint is None and spec.model is None:
        drafts, read = read_traces(
            spec, task.questions, params.samples, Grammar(task.dataset.class_sentence)
        )
        facts: dict[str, Any] = {"file": {"sha256": spec.sha256, **read}}
    else:
        with _asking(task) as (source, kept, plan):
            drafts = asyncio.run(source.run(plan, kept))
        facts = _facts(task, drafts)
    traces = table_of(drafts, tables.values(), task.dataset, params.keep)
    return traces, {"teacher": spec.name, **facts, **manifest(traces, tables)}


def estimated(task: Task) -> str:
    """Return in a sentence what `teach` would ask for; nothing is asked.

    Raises:
        TracekdError: if this teacher is not asked for anything.
    """
    spec = task.spec
    if spec.endpoint is None and spec.model is None:
        raise TracekdError(f"teachers.yaml: {spec.name}: asks nobody; there is nothing to estimate")
    with _asking(task) as (_, kept, plan):
        return estimate(plan, kept.get)


def messages(made: Mapping[str, Any]) -> list[str]:
    """Return what a manifest says, in a few lines."""
    lines = []
    for kind, found in made.get("kinds", {}).items():
        statuses = ", ".join(f"{status} {count}" for status, count in found["statuses"].items())
        train = found["splits"]["train"]
        lines.append(
            f"{kind}: {found['replies']} ({statuses}); kept for {train['with_kept_trace']} of "
            f"{train['questions']} training questions; contradict their answer: "
            f"{found['quality'].get('contradictions', 0)}"
        )
    if made.get("not_asked"):
        lines.append(f"budget used up: {made['not_asked']} questions were not asked about")
    for fault, found in made.get("file", {}).get("not_used", {}).items():
        lines.append(f"lines not used: {fault}: {found['count']} (first {found['first'][0]})")
    return lines


def export(traces: pl.DataFrame, tables: Iterable[pl.DataFrame], path: Path) -> int:
    """Write the usable traces as lines that a teacher with a `path` reads; return how many.

    `tables` are `records.DECOMPOSED`, of the questions that the traces (`TEACHER`) are about.
    """
    asked = {row["id"]: row for table in tables for row in table.iter_rows(named=True)}
    usable = traces.filter(pl.col("text") != "", pl.col("status") == OK)
    # Steps come with an answer of their own.
    keys = "id", "sample", pl.col("kind") == "steps"
    lines = []
    for (key, *_), rows in usable.group_by(*keys, maintain_order=True):
        texts = dict(rows.select("kind", "text").iter_rows())
        about = {name: asked[key][name] for name in ("id", "question", "context")}
        line = {**about, **texts, "answer": rows["answer"][0]}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return len(lines)


@contextmanager
def _asking(task: Task) -> Iterator[tuple[Endpoint | LocalTeacher, ReplyCache, list[Chain]]]:
    """Yield who is asked, the replies that are kept, and what is asked."""
    spec, grammar = task.spec, Grammar(task.dataset.class_sentence)
    slots = general_slots(grammar, classes_of(task.tables.values()))
    samples = task.params.teacher.samples
    plan = chains(spec, task.questions, samples, grammar, slots)
    if spec.model is not None and samples > 1 and not spec.sampling.temperature:
        raise TracekdError(
            f"params.yaml: teacher.samples is {samples}, but teachers.yaml: {spec.name} has no "
            "sampling.temperature above 0, so all samples would be the same"
        )
    source = Endpoint(spec) if spec.model is None else LocalTeacher(spec, task.models)
    with reply_cache(spec.asked_model, source.identity()) as kept:
        yield source, kept, plan


def _facts(task: Task, drafts: Sequence[Draft]) -> dict[str, Any]:
    """Return for the manifest what dvc.lock, which has the teacher's entry, does not."""
    replies = [draft.reply for draft in drafts]
    asked = len({draft.question["id"] for draft in drafts})
    return {
        "models_reported": dict(sorted(Counter(reply.model for reply in replies).items())),
        "replies": len(replies),
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "completion_tokens": sum(reply.completion_tokens for reply in replies),
        "refusals": dict(Counter(reply.refused for reply in replies if reply.refused)),
        "not_asked": sum(table.height for table in task.tables.values()) - asked,
    }
