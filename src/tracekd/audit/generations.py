"""Files of texts generated elsewhere, and which of them are scored together.

docs/audit.md describes the three formats. In the two that the authors of the paper published, each
record brings its question along. A file of bAbI or MS MARCO is a set of its own; otherwise the
files of a folder are one set.
"""

import ast
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from tracekd.datasets import fields
from tracekd.datasets.rawfiles import json_records
from tracekd.datasets.readers import cotemp
from tracekd.errors import TracekdError
from tracekd.text import one_line

Format = Literal["cotemp", "babi", "plain"]
#: Format -> the fields that identify it, besides `prediction`.
_QUESTION_FIELDS: dict[Format, tuple[str, ...]] = {
    "babi": ("question", "passage", "gold", "query_type", "answer_passage"),
    "cotemp": ("question", "facts", "gold", "triple_element"),
}
#: What identifies a question: its id, or its text and its context.
Key = tuple[str, ...]
#: Which records of a question that has several are scored.
Repeated = Literal["first", "keep"]


@dataclass(frozen=True)
class AuditItem:
    """One generated text.

    Attributes:
        key: identifies its question.
        place: "file:line", or the id.
        row: its question as a row of `records.QUESTIONS`; None in the plain format.
        repeat: how many records of its set and question precede it.
    """

    key: Key
    place: str
    text: str
    row: dict[str, Any] | None
    format: Format
    repeat: int = 0


@dataclass(frozen=True)
class AuditSet:
    """Texts that are scored together: one model under one regime.

    `duplicated` are the places of the second and further texts of a question.
    """

    name: str
    items: tuple[AuditItem, ...]
    duplicated: tuple[str, ...]


def read_sets(paths: Sequence[Path], repeated: Repeated = "keep") -> list[AuditSet]:
    """Return the sets in folders (their *.jsonl or *.json files) and files, each file once.

    A set is named after its folder or file, with as many of the folders above it as distinguish it
    from the other sets.

    Raises:
        TracekdError: naming the path, or the file, line and field, and the fault.
    """
    # A linked file stays where its link is: DVC may keep the files of a folder elsewhere.
    files = {file.parent.resolve() / file.name: file for path in paths for file in _files(path)}
    groups: dict[Path, list[AuditItem]] = {}
    for place, file in files.items():
        items = list(_items(file))
        whole = items and items[0].format == "babi"
        groups.setdefault(place.with_suffix("") if whole else place.parent, []).extend(items)
    names = _names(list(groups))
    return [_set(names[group], items, repeated) for group, items in groups.items()]


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    lines, others = sorted(path.glob("*.jsonl")), sorted(path.glob("*.json"))
    if lines and others:
        raise TracekdError(
            f"{path}: contains *.jsonl files and *.json files ({others[0].name}); keep one kind in "
            "a folder, or name the files to read"
        )
    if not lines and not others:
        raise TracekdError(f"{path}: is no file, and no folder with *.jsonl or *.json files")
    return lines or others


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


def _set(name: str, items: Iterable[AuditItem], repeated: Repeated) -> AuditSet:
    seen: Counter[Key] = Counter()
    counted = []
    for item in items:
        counted.append(replace(item, repeat=seen[item.key]))
        seen[item.key] += 1
    kept = tuple(item for item in counted if repeated == "keep" or not item.repeat)
    return AuditSet(name, kept, tuple(item.place for item in counted if item.repeat))


def _items(path: Path) -> Iterable[AuditItem]:
    for place, record in json_records(path):
        try:
            # CoTempQA's reader takes a class from the file's name up to the first dot, too.
            yield _item(record, path.name.split(".")[0], place)
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
    if form == "babi":
        context = fields.context(_listed(found["passage"], "passage"), "passage")
        subtype: str | None = None
        class_name = fields.text(found["query_type"], "query_type")
        gold_facts: list[int] | None = None
        if isinstance(found["gold"], str) and not found["gold"].startswith("["):  # bAbI
            # A path is a sequence: it is one answer, as in bAbI's reader.
            path = class_name == "path-finding"
            answers = [found["gold"]] if path else [i.strip() for i in found["gold"].split(",")]
            gold = _listed(found["answer_passage"], "answer_passage")
            if outside := [fact for fact in gold if fact not in context]:
                raise fields.RejectedError(f"answer_passage: {outside[0]!r} is not in passage")
            gold_facts = [context.index(fact) for fact in gold]
        else:
            answers = _listed(found["gold"], "gold")
    else:
        context, answers = fields.context(found["facts"], "facts"), found["gold"]
        subtype, class_name, gold_facts = cotemp.triple_element(found), stem, None
        if stem not in cotemp.CLASSES:
            raise fields.RejectedError(
                f"the file's name begins with {stem!r}, which must be its class: one of "
                f"{', '.join(cotemp.CLASSES)}"
            )
    answers = [fields.text(answer, "gold") for answer in fields.texts(answers, "gold")]
    if not answers:
        raise fields.RejectedError("gold is empty")
    row = {
        "id": place,
        "source": place,
        "question": fields.text(found["question"], "question"),
        "context": context,
        "answers": answers,
        "question_class": class_name,
        "subtype": subtype,
        "gold_facts": gold_facts,
    }
    return AuditItem(question_key(row), place, _generated(record, "prediction"), row, form)


def question_key(row: Mapping[str, Any]) -> Key:
    """Return what identifies a row of `records.QUESTIONS` without its id."""
    return (one_line(row["question"]), *map(one_line, row["context"]))


def _format(record: Any) -> Format:
    """Return the format of a record, which may have further fields."""
    names = record.keys() if isinstance(record, dict) else set()
    for form, required in _QUESTION_FIELDS.items():
        if names >= {*required, "prediction"}:
            return form
    if "id" in names and ("text" in names or "prediction" not in names):
        return "plain"
    return "babi" if names & {"passage", "query_type"} else "cotemp"


def _listed(value: Any, field: str) -> list[str]:
    """Return a list, which the release wrote as Python source."""
    if isinstance(value, str):
        try:
            value = ast.literal_eval(value)
        except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
            raise fields.RejectedError(f"{field} is not a list in Python's notation") from error
    return fields.texts(value, field)


def _generated(record: Any, field: str) -> str:
    """Return a text that a model generated, which may be empty."""
    if not isinstance(record.get(field), str):
        raise fields.RejectedError(f"{field} is missing or not a string")
    return fields.encodable(record[field], field)
