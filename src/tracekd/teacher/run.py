"""The stage `teach`: questions and a teacher -> its traces with verdicts, and a manifest."""

import asyncio
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tracekd.config import DatasetSpec, Params, TeacherSpec, load_model
from tracekd.datasets.splits import stratified_order
from tracekd.errors import TracekdError
from tracekd.files import atomic_file
from tracekd.teacher.asking import Chain, Estimate, chains, estimate, in_parallel
from tracekd.teacher.cache import ReplyCache, reply_cache
from tracekd.teacher.endpoint import Endpoint
from tracekd.teacher.local import LocalTeacher, in_rounds
from tracekd.teacher.prompts import TeacherRequest, general_slots
from tracekd.teacher.published import read_traces
from tracekd.teacher.replies import OK, Reply
from tracekd.teacher.table import Draft, manifest, table_of
from tracekd.traces.examples import classes_of
from tracekd.traces.grammar import Grammar
from tracekd.traces.taught import TEACHER

#: In this order, so that a budget covers validation, then as much of train as it can.
_ORDER = ("validation", "train", "test")


class TeacherOutput(NamedTuple):
    """A table of traces, `TEACHER`, and its manifest."""

    traces: pl.DataFrame
    manifest: dict[str, Any]


def teach(
    spec: TeacherSpec,
    tables: Mapping[str, pl.DataFrame],
    params: Params,
    dataset: DatasetSpec,
    models: Path,
) -> TeacherOutput:
    """Return what the teacher writes about the questions.

    Args:
        spec: the teacher's entry.
        tables: `records.DECOMPOSED` by split; all are asked about.
        params: `teacher` and `data_seed` are read.
        dataset: the dataset's entry.
        models: models.yaml, for a teacher that is a model.
    """
    if spec.name == "none":
        return TeacherOutput(pl.DataFrame(schema=TEACHER), {"teacher": spec.name})
    questions = _in_order(tables, params.data_seed)
    if spec.endpoint is None and spec.model is None:
        drafts, read = read_traces(spec, questions, params.teacher.samples)
        facts: dict[str, Any] = {"file": {"sha256": spec.sha256, **read}}
    else:
        plan = _plan(spec, questions, params, dataset, tables)
        with reply_cache(_asked_model(spec)) as cache:
            source = _source(spec, models, cache)
            done = asyncio.run(_asked(spec, plan, source, cache))
        drafts = [draft for chain in done for draft in chain]
        facts = _facts(spec, drafts, len(questions))
    traces = table_of(drafts, tables.values(), dataset, params.teacher.keep)
    settings = params.teacher.model_dump(include={"samples", "keep"})
    return TeacherOutput(
        traces, {"teacher": spec.name, **settings, **facts, **manifest(traces, tables)}
    )


def estimated(
    spec: TeacherSpec,
    tables: Mapping[str, pl.DataFrame],
    params: Params,
    dataset: DatasetSpec,
    models: Path,
) -> Estimate:
    """Return what `teach` would ask for; nothing is asked.

    Raises:
        TracekdError: if this teacher is not asked for anything.
    """
    if spec.endpoint is None and spec.model is None:
        raise TracekdError(f"teachers.yaml: {spec.name}: asks nobody; there is nothing to estimate")
    plan = _plan(spec, _in_order(tables, params.data_seed), params, dataset, tables)
    with reply_cache(_asked_model(spec)) as cache:
        source = _source(spec, models, cache)
        return asyncio.run(estimate(plan, _getter(source, cache)))


def messages(made: TeacherOutput) -> list[str]:
    """Return what a manifest says, in a few lines."""
    lines = []
    for kind, found in made.manifest.get("kinds", {}).items():
        statuses = ", ".join(f"{status} {count}" for status, count in found["statuses"].items())
        train = found["splits"]["train"]
        lines.append(
            f"{kind}: {found['replies']} ({statuses}); kept for {train['with_kept_trace']} of "
            f"{train['questions']} training questions; contradict their answer: "
            f"{found['quality'].get('contradictions', 0)}"
        )
    if made.manifest.get("not_asked"):
        lines.append(f"budget used up: {made.manifest['not_asked']} questions were not asked about")
    for fault, found in made.manifest.get("file", {}).get("not_used", {}).items():
        lines.append(f"lines not used: {fault}: {found['count']} (first {found['first'][0]})")
    return lines


def export(traces: pl.DataFrame, path: Path) -> int:
    """Write the usable traces as lines that a teacher with a `path` reads; return how many."""
    lines = [json.dumps(line, ensure_ascii=False) + "\n" for line in _lines(traces)]
    with atomic_file(path) as temporary:
        temporary.write_text("".join(lines), encoding="utf-8")
    return len(lines)


def _lines(traces: pl.DataFrame) -> Iterator[dict[str, Any]]:
    usable = traces.filter(pl.col("text") != "", pl.col("status") == OK)
    for _, rows in usable.group_by("id", "sample", maintain_order=True):
        texts = dict(rows.select("kind", "text").iter_rows())
        groups = [[k for k in texts if k != "steps"], [k for k in texts if k == "steps"]]
        for kinds in filter(None, groups):
            answers = dict(rows.select("kind", "answer").iter_rows())
            yield {
                "id": rows["id"][0],
                **{kind: texts[kind] for kind in kinds},
                "answer": answers[kinds[0]],
            }


def _in_order(tables: Mapping[str, pl.DataFrame], data_seed: int) -> list[dict[str, Any]]:
    """Return the questions; the first of each split are stratified by class."""
    rows: list[dict[str, Any]] = []
    for split in _ORDER:
        if (table := tables[split]).height:
            rows += table[stratified_order(table, data_seed)].to_dicts()
    return rows


def _plan(
    spec: TeacherSpec,
    questions: Sequence[Mapping[str, Any]],
    params: Params,
    dataset: DatasetSpec,
    tables: Mapping[str, pl.DataFrame],
) -> list[Chain]:
    grammar = Grammar(dataset.class_sentence)
    slots = general_slots(grammar, classes_of(tables.values()))
    return chains(spec, questions, params.teacher.samples, grammar, slots)


def _asked_model(spec: TeacherSpec) -> str:
    return str(spec.model) if spec.endpoint is None else spec.endpoint.model


def _source(spec: TeacherSpec, models: Path, cache: ReplyCache) -> Endpoint | LocalTeacher:
    if spec.model is None:
        return Endpoint(spec, cache)
    named_by = f"teachers.yaml: {spec.name}: model"
    return LocalTeacher(spec, load_model(models, spec.model, named_by), cache)


def _getter(source: Endpoint | LocalTeacher, cache: ReplyCache) -> Any:
    teacher = source.teacher()
    return lambda request: cache.get(request.key(teacher))


async def _asked(
    spec: TeacherSpec,
    plan: Sequence[Chain],
    source: Endpoint | LocalTeacher,
    cache: ReplyCache,
) -> list[list[Draft]]:
    get = _getter(source, cache)
    if isinstance(source, LocalTeacher):
        return await in_rounds([chain.run for chain in plan], source.answer, get)

    async def ask(request: TeacherRequest) -> Reply:
        kept: Reply | None = get(request)
        return await source.ask(request) if kept is None else kept

    concurrency = spec.endpoint.concurrency if spec.endpoint is not None else 1
    try:
        return await in_parallel(plan, ask, concurrency, spec.budget.tokens)
    finally:
        await source.close()


def _facts(spec: TeacherSpec, drafts: Sequence[Draft], questions: int) -> dict[str, Any]:
    replies = [draft.reply for draft in drafts]
    endpoint = None if spec.endpoint is None else spec.endpoint.base_url
    return {
        "endpoint": endpoint,
        "model": _asked_model(spec),
        "models_reported": dict(sorted(Counter(reply.model for reply in replies).items())),
        "system": spec.system,
        "prompts": dict(spec.prompts),
        "sampling": spec.sampling.model_dump(exclude_none=True),
        "replies": len(replies),
        "prompt_tokens": sum(reply.prompt_tokens for reply in replies),
        "completion_tokens": sum(reply.completion_tokens for reply in replies),
        "refusals": dict(Counter(reply.refused for reply in replies if reply.refused)),
        "not_asked": questions - len({draft.question["id"] for draft in drafts}),
    }
