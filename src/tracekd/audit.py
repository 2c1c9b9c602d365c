"""Generations that were made elsewhere, through exactly the scoring and statistics of analyze.

Two formats, both JSON lines (docs/audit.md):

- *records*: one file per class, named after it, with `question`, `facts`, `gold`, `prediction`,
  `triple_element`: the release of the paper's authors. Each record brings its question along, and
  the answer is cut out of the text as that release does.
- *plain*: `id` and `text`, for any data set; the questions come from the decompose stage's table.

No generation is dropped in silence: those that repeat a question, have none, or leave one out are
counted and named. Of a repeated question the first generation counts.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tracekd import records
from tracekd.config import DatasetSpec
from tracekd.datasets import fields
from tracekd.datasets.rawfiles import json_records
from tracekd.errors import TracekdError
from tracekd.scoring import cotemp_metric, metrics, table
from tracekd.scoring.traces import Step
from tracekd.traces.decompose import decompose
from tracekd.traces.reading import read
from tracekd.traces.regimes import regime

#: A step counts as taught if at least this share of the texts show it.
SHOWN = 0.5

_RECORD = ("question", "facts", "gold", "triple_element")
_RECORD_FIELDS = frozenset({*_RECORD, "prediction"})
_Key = tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """One text and where it stands.

    Attributes:
        key: what makes its question the same as another's.
        place: "file:line" or the id.
        row: its question in the schema `records.QUESTIONS`; None in the plain format.
    """

    key: _Key
    place: str
    text: str
    row: dict[str, Any] | None


@dataclass(frozen=True)
class Generations:
    """A set of generations that are scored together: one model under one regime.

    Attributes:
        items: without repetitions.
        duplicated: places of the repetitions.
    """

    name: str
    items: dict[_Key, Generation]
    duplicated: tuple[str, ...]


def read_sets(paths: Sequence[Path]) -> list[Generations]:
    """Return one set for each folder (its *.jsonl files) and one for the files of each folder.

    Each file is read once, however often and under which path it is named. A set is named after its
    folder, with as many of the folders above it as tell it from the other sets.

    Raises:
        TracekdError: naming the path, or file and line and field, and what is wrong with it.
    """
    files: dict[Path, dict[str, Path]] = {}
    for path in paths:
        if path.is_dir():
            folder, found = path, sorted(path.glob("*.jsonl"))
        elif path.is_file():
            folder, found = path.parent, [path]
        else:
            raise TracekdError(f"{path}: no such file or folder")
        if not found:
            raise TracekdError(f"{folder}: holds no *.jsonl file")
        known = files.setdefault(folder.resolve(), {})
        for file in found:
            known.setdefault(file.name, file)
    names = _names(list(files))
    return [_gather(names[folder], found.values()) for folder, found in files.items()]


def _names(folders: Sequence[Path]) -> dict[Path, str]:
    """Return for each folder the shortest end of its path that is the end of no other's."""

    def end(folder: Path, length: int) -> tuple[str, ...]:
        return folder.parts[-length:]

    names = {}
    for folder in folders:
        length = 1
        while any(end(o, length) == end(folder, length) for o in folders if o != folder):
            length += 1
        names[folder] = str(Path(*end(folder, length)))
    return names


def audit(
    sets: Sequence[Generations],
    spec: DatasetSpec,
    *,
    facts: Literal["paper", "full"] = "paper",
    questions: pl.DataFrame | None = None,
    trace_mode: str | None = None,
) -> dict[str, Any]:
    """Return a report on each set: questions, steps, metrics, and why a number is null.

    Args:
        sets: see `read_sets`.
        spec: the data set's entry in datasets.yaml.
        facts: which rule of the entry finds the gold facts of records.
        questions: `records.DECOMPOSED`, which questions there are. Needed for the plain format. In
            its absence every question of any set counts as one that each set should have.
        trace_mode: the regime; None scores the steps that at least half of a set's texts show.
    """
    asked = _asked(sets, spec, facts, questions)
    return {found.name: _report(found, spec, asked, trace_mode) for found in sets}


def _report(
    found: Generations, spec: DatasetSpec, asked: dict[_Key, dict[str, Any]], trace_mode: str | None
) -> dict[str, Any]:
    known = {key: item for key, item in found.items.items() if key in asked}
    if not known:
        raise TracekdError(f"{found.name}: none of its generations answers a known question")
    released = next(iter(known.values())).row is not None
    rows = [asked[key] for key in known]
    scored_questions = pl.DataFrame(rows, schema=dict(records.DECOMPOSED), orient="row")
    predictions = _predictions(rows, [item.text for item in known.values()])
    steps = _steps(predictions["text"], spec, trace_mode)
    score = _scorer(scored_questions, predictions, spec, steps)
    own = score(None)
    scores = score(cotemp_metric.released_answer) if released else own
    measured, notes = metrics.report(scores, spec.answer_metric)
    differs = scores.filter(scores["answer_correct"] != own["answer_correct"])["id"].to_list()
    return {
        "questions": {
            "scored": len(known),
            "duplicated": _named(found.duplicated),
            "missing": _named(asked[key]["id"] for key in asked if key not in known),
            "unknown": _named(i.place for k, i in found.items.items() if k not in asked),
        },
        "steps": sorted(steps),
        "answer_read": "as released" if released else "by the grammar",
        "answer_differs_by_the_grammar": _named(differs),
        "metrics": _without_costs(measured),
        "notes": {path: reason for path, reason in notes.items() if "cost" not in path},
    }


def _scorer(
    questions: pl.DataFrame,
    predictions: pl.DataFrame,
    spec: DatasetSpec,
    steps: Collection[Step],
) -> Callable[[Callable[[str], str] | None], pl.DataFrame]:
    return lambda answer_part: table.score(questions, predictions, spec, steps, answer_part)


def _gather(name: str, files: Iterable[Path]) -> Generations:
    items: dict[_Key, Generation] = {}
    duplicated = []
    for path in files:
        for place, record in json_records(path):
            try:
                found = _generation(record, path.stem, place)
            except fields.RejectedError as fault:
                raise TracekdError(
                    f"{path.parent / place}: {fault}; expected id and text, or question, facts, "
                    "gold, prediction and triple_element (docs/audit.md)"
                ) from fault
            if found.key in items:
                duplicated.append(found.place)
            else:
                items[found.key] = found
    return Generations(name, items, tuple(duplicated))


def _generation(record: Any, stem: str, place: str) -> Generation:
    if isinstance(record, dict) and _is_plain(record):
        key = fields.text(fields.require(record, ("id",))["id"], "id")
        return Generation((key,), key, _string(record, "text"), None)
    found = fields.require(record, _RECORD)
    facts = fields.context(found["facts"], "facts")
    answers = fields.texts(found["gold"], "gold")
    if not answers:
        raise fields.RejectedError("gold is empty")
    question = fields.text(found["question"], "question")
    row = {
        "id": place,
        "question": question,
        "context": facts,
        "answers": answers,
        "question_class": stem,
        "subtype": fields.text(found["triple_element"], "triple_element"),
        "gold_facts": None,
        "source": place,
    }
    return Generation((stem, question, *facts), place, _string(found, "prediction"), row)


def _is_plain(record: dict[str, Any]) -> bool:
    """Return whether `id` and `text` are what is to be read, and no further fields of a record."""
    shown = _RECORD_FIELDS & record.keys()
    return "id" in record and shown != _RECORD_FIELDS and ("text" in record or not shown)


def _string(record: Any, field: str) -> str:
    """Return a text that a model wrote: it may be empty."""
    if not isinstance(record.get(field), str):
        raise fields.RejectedError(f"{field} is missing or not a string")
    return fields.encodable(record[field], field)


def _asked(
    sets: Sequence[Generations],
    spec: DatasetSpec,
    facts: Literal["paper", "full"],
    questions: pl.DataFrame | None,
) -> dict[_Key, dict[str, Any]]:
    """Return key -> row of `records.DECOMPOSED` of every question there is."""
    plain = any(item.row is None for found in sets for item in found.items.values())
    if questions is not None:
        return {(row["id"],) if plain else _key(row): row for row in questions.to_dicts()}
    if plain:
        raise TracekdError(
            "generations with ids need the questions: name the table of the decompose stage with "
            "--questions"
        )
    if facts not in spec.facts:
        raise TracekdError(f"datasets.yaml: facts: this data set has no rule for {facts!r}")
    rows: dict[_Key, dict[str, Any]] = {}
    ids: set[str] = set()
    for found in sets:
        for key, item in found.items.items():
            if item.row is None or key in rows:
                continue
            # Two sets may have different questions on the same line of the same file.
            name = item.place if item.place not in ids else f"{found.name}/{item.place}"
            ids.add(name)
            rows[key] = {**item.row, "id": name}
    bare = pl.DataFrame(list(rows.values()), schema=dict(records.QUESTIONS), orient="row")
    made = decompose(bare, spec.facts[facts], spec.answers)
    return dict(zip(rows, made.to_dicts(), strict=True))


def _key(row: dict[str, Any]) -> _Key:
    return (row["question_class"], row["question"], *row["context"])


def _predictions(rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> pl.DataFrame:
    made = [
        (row["id"], text, "stop", 0, 0)  # no token counts are known: see _without_costs
        for row, text in zip(rows, texts, strict=True)
    ]
    return pl.DataFrame(made, schema=dict(records.PREDICTIONS), orient="row")


def _steps(texts: pl.Series, spec: DatasetSpec, trace_mode: str | None) -> frozenset[Step]:
    if trace_mode is not None:
        return regime(trace_mode, named_by="--trace-mode").steps
    traces = [read(text, spec.class_sentence).trace for text in texts]
    shown: dict[Step, int] = {
        "class": sum(trace.class_name is not None for trace in traces),
        "facts": sum(trace.facts is not None for trace in traces),
    }
    return frozenset(step for step, times in shown.items() if times >= SHOWN * len(traces))


def _named(places: Iterable[str]) -> dict[str, Any]:
    names = list(places)
    return {"count": len(names), "names": names}


def _without_costs(measured: dict[str, Any]) -> dict[str, Any]:
    """Return metrics without what depends on token counts and reasons for stopping."""
    kept = {name: value for name, value in measured.items() if name != "cost"}
    forms = ("strict", "lenient", "failed")
    kept["format"] = {form: measured["format"][form] for form in forms}
    if "by_class" in kept:
        kept["by_class"] = {name: _without_costs(g) for name, g in kept["by_class"].items()}
    return kept
