"""Files of generations that were made elsewhere, and which of them are scored together.

Two formats, both JSON lines (docs/audit.md):

- *records*: one file per class, named after it, with `question`, `facts`, `gold`, `prediction`,
  `triple_element`: the release of the paper's authors. Each record brings its question along.
- *plain*: `id` and `text`, for any data set.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tracekd.datasets import fields
from tracekd.datasets.rawfiles import json_records
from tracekd.errors import TracekdError

_RECORD = ("question", "facts", "gold", "triple_element")
_RECORD_FIELDS = frozenset({*_RECORD, "prediction"})
#: What makes a question the same as another.
Key = tuple[str, ...]


@dataclass(frozen=True)
class Generation:
    """One text and where it stands.

    Attributes:
        key: what makes its question the same as another's.
        place: "file:line" or the id.
        row: its question in the schema `records.QUESTIONS`; None in the plain format.
    """

    key: Key
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
    items: dict[Key, Generation]
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


def _gather(name: str, files: Iterable[Path]) -> Generations:
    items: dict[Key, Generation] = {}
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
