"""Files of texts generated elsewhere, and which of them are scored together.

Three formats, all JSON lines (docs/audit.md). In the first two, which the authors of the paper
published, each record brings its question along:

- CoTempQA: one file per class, named after it, with `question`, `facts`, `gold`, `prediction`,
  `triple_element`; the files of a folder are one set;
- bAbI: one file with all classes, a set of its own, with `question`, `passage`, `gold`,
  `prediction`, `query_type`, `answer_passage`;
- plain, for any dataset: `id` and `text`; the files of a folder are one set.
"""

import ast
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tracekd.datasets import fields
from tracekd.datasets.rawfiles import json_records
from tracekd.errors import TracekdError

Format = Literal["cotemp", "babi", "plain"]
#: Format -> the fields that identify it, besides `prediction`.
_QUESTION_FIELDS: dict[Format, tuple[str, ...]] = {
    "babi": ("question", "passage", "gold", "query_type", "answer_passage"),
    "cotemp": ("question", "facts", "gold", "triple_element"),
}
#: What identifies a question.
Key = tuple[str, ...]


@dataclass(frozen=True)
class AuditItem:
    """One generated text.

    Attributes:
        key: identifies its question.
        place: "file:line", or the id.
        row: its question as a row of `records.QUESTIONS`; None in the plain format.
    """

    key: Key
    place: str
    text: str
    row: dict[str, Any] | None
    format: Format


@dataclass(frozen=True)
class AuditSet:
    """Texts that are scored together: one model under one regime.

    Attributes:
        items: the first text of each question.
        duplicated: places of the others.
    """

    name: str
    items: dict[Key, AuditItem]
    duplicated: tuple[str, ...]


def read_sets(paths: Sequence[Path]) -> list[AuditSet]:
    """Return the sets in folders (their *.jsonl files) and files.

    Each file is read once, however often it is named. A set is named after its folder or file, with
    as many of the folders above it as distinguish it from the other sets.

    Raises:
        TracekdError: naming the path, or the file, line and field, and the fault.
    """
    files: dict[Path, Path] = {}
    for path in paths:
        found = sorted(path.glob("*.jsonl")) if path.is_dir() else [path]
        if not found:
            raise TracekdError(f"{path}: contains no *.jsonl file")
        for file in found:
            if not file.is_file():
                raise TracekdError(f"{file}: no such file or folder")
            files.setdefault(file.resolve(), file)
    groups: dict[Path, list[AuditItem]] = {}
    for resolved, file in files.items():
        items = list(_items(file))
        whole = items and items[0].format == "babi"
        groups.setdefault(resolved.with_suffix("") if whole else resolved.parent, []).extend(items)
    names = _names(list(groups))
    return [_set(names[group], items) for group, items in groups.items()]


def _names(groups: Sequence[Path]) -> dict[Path, str]:
    """Return for each path the shortest end of it with which no other path ends."""
    names = {}
    for group in groups:
        length = 1
        others = [other for other in groups if other != group]
        while any(other.parts[-length:] == group.parts[-length:] for other in others):
            length += 1
        names[group] = str(Path(*group.parts[-length:]))
    return names


def _set(name: str, items: Iterable[AuditItem]) -> AuditSet:
    first: dict[Key, AuditItem] = {}
    duplicated = [item.place for item in items if first.setdefault(item.key, item) is not item]
    return AuditSet(name, first, tuple(duplicated))


def _items(path: Path) -> Iterable[AuditItem]:
    for place, record in json_records(path):
        try:
            yield _item(record, path.stem, place)
        except fields.RejectedError as fault:
            known = "; ".join(f"{', '.join(f)}, prediction" for f in _QUESTION_FIELDS.values())
            raise TracekdError(
                f"{path.parent / place}: {fault}; expected the fields id, text; or {known} "
                "(docs/audit.md)"
            ) from fault


def _item(record: Any, stem: str, place: str) -> AuditItem:
    form = _format(record)
    if form == "plain":
        name = fields.text(fields.require(record, ("id",))["id"], "id")
        return AuditItem((name,), name, _generated(record, "text"), None, form)
    found = fields.require(record, _QUESTION_FIELDS[form])
    row: dict[str, Any] = {"id": place, "source": place}
    if form == "babi":
        context = fields.context(_python_list(found, "passage"), "passage")
        gold = _python_list(found, "answer_passage")
        if outside := [fact for fact in gold if fact not in context]:
            raise fields.RejectedError(f"answer_passage: {outside[0]!r} is not in passage")
        row["answers"] = [fields.text(found["gold"], "gold")]
        row["question_class"] = fields.text(found["query_type"], "query_type")
        row |= {"subtype": None, "gold_facts": [context.index(fact) for fact in gold]}
    else:
        context = fields.context(found["facts"], "facts")
        row["answers"] = fields.texts(found["gold"], "gold")
        subtype = fields.text(found["triple_element"], "triple_element")
        row |= {"question_class": stem, "subtype": subtype, "gold_facts": None}
    if not row["answers"]:
        raise fields.RejectedError("gold is empty")
    row |= {"context": context, "question": fields.text(found["question"], "question")}
    key = (row["question_class"], row["question"], *context)
    return AuditItem(key, place, _generated(record, "prediction"), row, form)


def _format(record: Any) -> Format:
    """Return the format of a record, which may have further fields."""
    names = record.keys() if isinstance(record, dict) else set()
    for form, required in _QUESTION_FIELDS.items():
        if names >= {*required, "prediction"}:
            return form
    if "id" in names and ("text" in names or "prediction" not in names):
        return "plain"
    return "babi" if names & {"passage", "query_type"} else "cotemp"


def _python_list(record: Mapping[str, Any], field: str) -> list[str]:
    """Return a list that the release wrote as Python source."""
    source = fields.text(record[field], field)
    try:
        value = ast.literal_eval(source)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        raise fields.RejectedError(f"{field} is not a list in Python's notation") from error
    return fields.texts(value, field)


def _generated(record: Any, field: str) -> str:
    """Return a text that a model generated, which may be empty."""
    if not isinstance(record.get(field), str):
        raise fields.RejectedError(f"{field} is missing or not a string")
    return fields.encodable(record[field], field)
