"""CoTempQA: which events took place at the same time as the one in question.

Format (https://huggingface.co/datasets/Warrieryes/CotempQA): JSON lines, one file for each class of
temporal relation, with `index` (numbered per file), `triple_element`, `question`, `facts` and
`answer`.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from tracekd.config import DISTINCT, HubDataset, Settings, parse_settings
from tracekd.datasets import Loaded, Rejection, fields, most_frequent, rawfiles, sources
from tracekd.datasets.dated_facts import parse_fact
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

    classes: Annotated[list[_Class], DISTINCT] = Field(default=list(CLASSES), min_length=1)


def raw_files(folder: Path, options: dict[str, Any]) -> list[Path]:
    """Return the file of each chosen class."""
    return list(_class_files(folder, options).values())


def read(folder: Path, options: dict[str, Any]) -> Loaded:
    """Read the upstream JSON lines; a file's class is its name up to the first dot.

    The questions are split as the paper splits them.

    Raises:
        TracekdError: if a class has no file, several files or no question, or if a file is damaged.
    """
    rejected: list[Rejection] = []
    notes: Counter[str] = Counter()
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    files = _class_files(folder, options)
    for name, path in files.items():
        before = len(rejected)
        rows = list(_class_rows(name, rawfiles.json_records(path), rejected, notes))
        if not any(rows):
            raise TracekdError(
                f"{path}: no question of the class {name}{most_frequent(rejected[before:])}; "
                f"expected records with the fields {', '.join(_FIELDS)}: fetch the file again"
            )
        # A rejected record keeps its place, or it would move all others.
        test_rows = set(published_test_rows(len(rows)))
        for place, row in enumerate(rows):
            if row is not None:
                splits["test" if place in test_rows else "train"].append(row)
    return Loaded.of("cotemp", splits, rejected, notes)


def read_hub(hub: HubDataset, options: dict[str, Any]) -> Loaded:
    """Read the same files from the hub."""
    classes = parse_settings(CotempOptions, options, _OPTIONS).classes
    folder = sources.hub_folder(hub, [f"{name}.json" for name in classes])
    return read(folder, options)


def entities(question: Mapping[str, Any]) -> set[str]:
    """Return what a row of `records.QUESTIONS` is about, for `prepare.split: by_entity`.

    All subjects of its facts, and the object that they share if people are asked for. So no fact of
    a test question's context is in the context of a training question.
    """
    facts = [parse_fact(text) for text in question["context"]]
    objects = {fact.object for fact in facts} if "O1" in question["subtype"] else set()
    return {fact.subject for fact in facts} | objects


def triple_element(record: Mapping[str, Any]) -> str:
    """Return which of subject, relation and object a question asks for, such as S1_R2_O2."""
    element = fields.text(record["triple_element"], "triple_element")
    if not _TRIPLE_ELEMENT.fullmatch(element):
        # By any other the official metric would look at the wrong side of the facts.
        raise RejectedError("triple_element is not of the form S1_R2_O2")
    return element


def published_test_rows(count: int) -> list[int]:
    """Return the rows of a class of `count` records that the paper tests on.

    The authors used `frame.sample(frac=0.2, random_state=42)` of pandas, which is this one call of
    numpy's legacy generator; its stream is frozen (NEP 19).
    """
    import numpy as np

    size = round(0.2 * count)
    chosen = np.random.RandomState(42).choice(count, size=size, replace=False)
    return sorted(int(row) for row in chosen)


def _class_files(folder: Path, options: dict[str, Any]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for name in parse_settings(CotempOptions, options, _OPTIONS).classes:
        files = [p for p in rawfiles.files(folder, "*.json") if p.name.split(".")[0] == name]
        if not files:
            raise TracekdError(
                f"{folder}: no file {name}.json; add it, or remove the class ({_OPTIONS}: classes)"
            )
        if len(files) > 1:
            names = ", ".join(path.name for path in files)
            raise TracekdError(f"{folder}: several files of the class {name}: {names}; keep one")
        found[name] = files[0]
    return found


def _class_rows(
    name: str,
    records: Iterable[tuple[str, Any]],
    rejected: list[Rejection],
    notes: Counter[str],
) -> Iterator[dict[str, Any] | None]:
    """Yield a row for each record, None for one that is rejected."""
    seen: set[int] = set()
    for source, record in records:
        try:
            row = _question(fields.require(record, _FIELDS), seen, notes)
        except RejectedError as reason:
            rejected.append(Rejection(source, str(reason)))
            yield None
            continue
        key = f"cotemp/all/{name}:{record['index']}"
        yield {"id": key, "question_class": name, "source": source, **row}


def _question(record: Mapping[str, Any], seen: set[int], notes: Counter[str]) -> dict[str, Any]:
    answers = [fields.text(item, "answer") for item in fields.texts(record["answer"], "answer")]
    if not answers:
        raise RejectedError("answer is an empty list")
    row = {
        "question": fields.text(record["question"], "question"),
        "context": fields.context(record["facts"], "facts"),
        "answers": fields.without_duplicates(answers, notes),
        "subtype": triple_element(record),
        "gold_facts": None,
    }
    index = fields.whole_number(record["index"], "index")
    if index in seen:
        raise RejectedError("index is a duplicate within the file")
    seen.add(index)
    return row
