"""CoTempQA: which events took place at the same time as the one asked about.

Format (https://huggingface.co/datasets/Warrieryes/CotempQA): JSON lines, one file for each class of
temporal relation, with `index` (counted anew in each file), `triple_element`, `question`, `facts`
and `answer`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tracekd.config import HubDataset, Settings, parse_settings
from tracekd.datasets import (
    Loaded,
    Rejection,
    Wanted,
    fields,
    most_frequent,
    rawfiles,
    sources,
    table,
)
from tracekd.datasets.fields import RejectedError
from tracekd.errors import TracekdError

_Class = Literal["equal", "overlap", "during", "mix"]
CLASSES: tuple[_Class, ...] = ("equal", "overlap", "during", "mix")
_OPTIONS = "datasets.yaml: options of the reader cotemp"
_TRIPLE_ELEMENT = re.compile(r"S[12]_R[12]_O[12]")
_FIELDS = ("index", "triple_element", "question", "facts", "answer")


class CotempOptions(Settings):
    """Options of the reader.

    Attributes:
        classes: temporal relations to read.
    """

    classes: tuple[_Class, ...] = CLASSES


def raw_files(folder: Path, options: dict[str, Any]) -> list[Path]:
    """Return the file of each chosen class."""
    return [_class_file(folder, name) for name in _options(options).classes]


def read(folder: Path | None, options: dict[str, Any], wanted: Wanted) -> Loaded:  # noqa: ARG001
    """Read the upstream JSON lines; a file's class is its name up to the first dot.

    `wanted` is ignored: all questions are returned, split as the paper splits them.

    Raises:
        TracekdError: if a class has no file, several files or no question, or if a file is damaged.
    """
    home = rawfiles.existing_folder(folder, "cotemp")
    return _load(
        (name, rawfiles.json_records(_class_file(home, name))) for name in _options(options).classes
    )


def read_hub(hub: HubDataset, options: dict[str, Any]) -> Loaded:
    """Read the same files from the hub."""
    classes = _options(options).classes
    found = sources.hub_files(hub, {name: f"{name}.json" for name in classes})
    return _load((name, rawfiles.json_records(found[name][0])) for name in classes)


def published_test_rows(count: int) -> list[int]:
    """Return the rows of a class, of `count` in all, that the paper tests on.

    The authors took `frame.sample(frac=0.2, random_state=42)` in pandas, which is this one call of
    numpy's legacy generator; its stream is frozen (NEP 19).
    """
    import numpy as np

    size = round(0.2 * count)
    chosen = np.random.RandomState(42).choice(count, size=size, replace=False)
    return sorted(int(row) for row in chosen)


def _options(options: dict[str, Any]) -> CotempOptions:
    chosen = parse_settings(CotempOptions, options, _OPTIONS)
    if not chosen.classes or len(set(chosen.classes)) < len(chosen.classes):
        raise TracekdError(
            f"{_OPTIONS}: classes: found {list(chosen.classes)}; needs at least one class and none "
            "twice"
        )
    return chosen


def _class_file(folder: Path, name: str) -> Path:
    found = [path for path in rawfiles.files(folder, "*.json") if path.name.split(".")[0] == name]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(path.name for path in found)
        raise TracekdError(f"{folder}: several files of the class {name}: {names}; leave one")
    raise TracekdError(
        f"{folder}: no file {name}.json; add it, or leave the class out ({_OPTIONS}: classes)"
    )


_Records = Iterator[tuple[str, Any]]


def _load(files: Iterable[tuple[str, _Records]]) -> Loaded:
    rejected: list[Rejection] = []
    notes: Counter[str] = Counter()
    train: list[dict[str, Any]] = []
    test: list[dict[str, Any]] = []
    for name, records in files:
        before = len(rejected)
        rows = list(_class_rows(name, records, rejected, notes))
        if not any(rows):
            why = most_frequent(rejected[before:])
            raise TracekdError(
                f"{name}.json: zero questions of the class {name}{why}; expected "
                f"records with the fields {', '.join(_FIELDS)}: fetch the file again"
            )
        # A record that was rejected keeps its place: else it would move those of all others.
        held_out = set(published_test_rows(len(rows)))
        for place, row in enumerate(rows):
            if row is not None:
                (test if place in held_out else train).append(row)
    splits: dict[str, pl.DataFrame] = {"train": table(train), "test": table(test)}
    return Loaded(splits=splits, rejected=rejected, notes=dict(notes))


def _class_rows(
    name: str, records: _Records, rejected: list[Rejection], notes: Counter[str]
) -> Iterator[dict[str, Any] | None]:
    """Give a row for each record, None for one that is rejected."""
    seen: set[int] = set()
    for source, record in records:
        try:
            row = _question(fields.require(record, _FIELDS), notes)
            index = _index(record["index"], seen)
        except RejectedError as reason:
            rejected.append(Rejection(source, str(reason)))
            yield None
            continue
        key = f"cotemp/all/{name}:{index}"
        yield {"id": key, "question_class": name, "source": source, **row}


def _index(value: Any, seen: set[int]) -> int:
    if not isinstance(value, int) or isinstance(value, bool):
        raise RejectedError("index is not a whole number")
    if value in seen:
        raise RejectedError("index stands twice in the file")
    seen.add(value)
    return value


def _triple_element(value: Any) -> str:
    """Return it if it is one: by any other the metric would take the wrong side of the facts."""
    element = fields.text(value, "triple_element")
    if not _TRIPLE_ELEMENT.fullmatch(element):
        raise RejectedError("triple_element is not of the form S1_R2_O2")
    return element


def _question(record: Mapping[str, Any], notes: Counter[str]) -> dict[str, Any]:
    answers = [fields.text(item, "answer") for item in fields.texts(record["answer"], "answer")]
    if not answers:
        raise RejectedError("answer is an empty list")
    unique = list(dict.fromkeys(answers))
    if len(unique) < len(answers):
        notes["an answer that stood twice in a record was kept once"] += 1
    return {
        "question": fields.text(record["question"], "question"),
        "context": fields.context(record["facts"], "facts"),
        "answers": unique,
        "subtype": _triple_element(record["triple_element"]),
        "gold_facts": None,
    }
