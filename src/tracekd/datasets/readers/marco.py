"""MS MARCO QA v1.1 and v2.1: web queries, up to ten passages each, answers written by people.

The files and splits; a record's fields are in `marco_record.py`.
"""

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from pydantic import Field

from tracekd import pools, randomness
from tracekd.config import HubDataset, Settings, parse_settings
from tracekd.datasets import (
    Loaded,
    Rejection,
    Wanted,
    blocks,
    most_frequent,
    rawfiles,
    sources,
    table,
)
from tracekd.datasets.fields import RejectedError
from tracekd.datasets.marco_record import FIELDS, question
from tracekd.datasets.questions import PART, Questions, filed, new_folder
from tracekd.errors import TracekdError

_REPEATED = "query_id stands twice in the split"
_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")
#: Bytes from which on a file is read in blocks on all cores, and of a block.
_LARGE, _BLOCK = 100_000_000, 8_000_000


class MarcoOptions(Settings):
    """Options of the reader.

    Attributes:
        test_fraction: share of each class that is cut from train as test, if no file of another
            split holds a question; always the same questions.
    """

    test_fraction: Annotated[float, Field(gt=0, lt=1)] = 0.1


def raw_files(folder: Path, options: dict[str, Any]) -> list[Path]:  # noqa: ARG001
    """Return the JSON and parquet files of the folder, subfolders apart.

    Raises:
        TracekdError: if there is none.
    """
    found = [path for path in rawfiles.files(folder) if path.name.endswith(_SUFFIXES)]
    if not found:
        raise TracekdError(f"{folder}: no MS MARCO file here; looked for *{', *'.join(_SUFFIXES)}")
    return found


def read(folder: Path | None, options: dict[str, Any], wanted: Wanted) -> Loaded:  # noqa: ARG001
    """Read native JSON lines, JSON arrays, the published object of columns, or the hub's parquet.

    A file is train, dev (or validation) or test (or eval) by its name, train if that says nothing.
    As in the paper, the dev questions are the test split; test files are read only if there are no
    dev files, since v2.1 publishes no answers for them. `wanted` is ignored.

    Raises:
        TracekdError: if there is no file, or a file is damaged.
    """
    home = rawfiles.existing_folder(folder, "marco")
    by_kind: dict[str, list[Path]] = {"train": [], "dev": [], "test": []}
    for path in raw_files(home, options):
        by_kind[file_kind(path.name)].append(path)
    held_out = by_kind["dev"] or by_kind["test"]
    notes = Counter(
        {f"{path.name} was not read: dev files are the test split": 1 for path in by_kind["test"]}
        if by_kind["dev"]
        else {}
    )
    splits = {"train": by_kind["train"], "test": held_out}

    def load(folder: TemporaryDirectory[str] | None) -> Loaded:
        parts = {split: _parts(split, each, folder) for split, each in splits.items()}
        return _load(parts, _options(options), notes.copy(), folder)

    try:
        return load(new_folder())
    except blocks.UnevenError:
        return load(None)


def read_hub(hub: HubDataset, options: dict[str, Any]) -> Loaded:
    """Read the hub's parquet files; the validation split is the test split, as in the paper."""
    version = hub.subset or "v1.1"
    patterns = {"train": f"{version}/train-*.parquet", "test": f"{version}/validation-*.parquet"}
    rows = sources.parquet_rows(hub, patterns)
    parts = {
        split: _read_parts(split, _numbered(f"{version}/{split}", rows[split]))
        for split in patterns
    }
    return _load(parts, _options(options), Counter())


def file_kind(name: str) -> str:
    """Return the split that a file name tells: "train", "dev" or "test".

    >>> file_kind("dev_v2.1.json.gz"), file_kind("v2.1_validation_part.jsonl"), file_kind("a.json")
    ('dev', 'dev', 'train')
    """
    parts = set(name.lower().replace(".", "_").replace("-", "_").split("_"))
    if parts & {"dev", "validation", "valid", "val"}:
        return "dev"
    return "test" if parts & {"test", "eval"} else "train"


def _options(options: dict[str, Any]) -> MarcoOptions:
    return parse_settings(MarcoOptions, options, "datasets.yaml: options of the reader marco")


_Records = Iterable[tuple[str, Any]]


def _numbered(place: str, rows: Iterable[Any]) -> _Records:
    return ((f"{place}:{number}", row) for number, row in enumerate(rows, 1))


@dataclass(frozen=True)
class _Part:
    """What some records have become, one after the other.

    Attributes:
        questions: a table, or its file in a folder of `questions.new_folder`.
        keys: id and source of each.
        rejected: in front of which row each rejection stands, and the rejection.
    """

    questions: pl.DataFrame | Path
    keys: pl.DataFrame
    rejected: list[tuple[int, Rejection]]
    notes: Counter[str]


def _parts(
    split: str, paths: Iterable[Path], folder: TemporaryDirectory[str] | None
) -> Iterator[_Part]:
    """Read files part by part, large ones on all cores if there is a folder for the parts.

    Raises:
        UnevenError: if one of them cannot be read in blocks after all; what was given until then
            does not count.
    """
    for path in paths:
        size = path.stat().st_size
        if path.suffix == ".parquet":
            yield from _read_parts(split, rawfiles.parquet_records(path))
        elif folder is not None and path.suffix != ".gz" and size >= _LARGE:
            cut = blocks.cut(path, _BLOCK)
            read = pools.in_order(partial(_read_block, split, folder.name), cut, parallel=True)
            yield from pools.watched(read, size // _BLOCK, path.name)
        else:
            yield from _read_parts(split, rawfiles.json_records(path))


def _read_block(split: str, folder: str, block: blocks.Block) -> _Part:
    """Read a block and leave its questions in the folder: to hand them over would take longer."""
    part = _read_part(split, blocks.records(block))
    return replace(part, questions=filed(part.questions, folder))


def _read_parts(split: str, records: _Records) -> Iterator[_Part]:
    remaining = iter(records)
    while some := list(itertools.islice(remaining, PART)):
        yield _read_part(split, some)


def _read_part(split: str, records: _Records) -> _Part:
    rows: list[dict[str, Any]] = []
    rejected: list[tuple[int, Rejection]] = []
    notes: Counter[str] = Counter()
    for source, record in records:
        try:
            rows.append(question(split, source, record, notes))
        except RejectedError as reason:
            rejected.append((len(rows), Rejection(source, str(reason))))
    questions = table(rows)
    return _Part(questions, questions.select("id", "source"), rejected, notes)


@dataclass
class _Log:
    """What became of the records that are no question as they stand."""

    notes: Counter[str]
    rejected: list[Rejection] = field(default_factory=list)


def _load(
    parts: Mapping[str, Iterable[_Part]],
    options: MarcoOptions,
    notes: Counter[str],
    folder: TemporaryDirectory[str] | None = None,
) -> Loaded:
    log = _Log(notes)
    splits = {
        split: Questions.collect(_unrepeated(some, log), folder) for split, some in parts.items()
    }
    if not len(splits["test"]) and len(splits["train"]):
        splits = _cut_test(splits["train"], options.test_fraction)
        log.notes["test questions cut from train, as no other file holds any"] = len(splits["test"])
    if not len(splits["train"]):
        raise TracekdError(
            f"marco: zero training questions in the raw files{most_frequent(log.rejected)}; "
            f"expected records with the fields {', '.join(FIELDS)}, some in a file not "
            "named dev or test"
        )
    tables = {split: some.table() if some.in_memory else some for split, some in splits.items()}
    return Loaded(splits=tables, rejected=log.rejected, notes=dict(log.notes))


def _unrepeated(
    parts: Iterable[_Part], log: _Log
) -> Iterator[tuple[pl.DataFrame | Path, NDArray[np.int64]]]:
    """Give the questions of a split and which rows hold the first of each id; log the rest."""
    seen: set[str] = set()
    for part in parts:
        kept: list[int] = []
        repeated: list[tuple[int, Rejection]] = []
        for row, (key, source) in enumerate(part.keys.iter_rows()):
            if key in seen:
                repeated.append((row, Rejection(source, _REPEATED)))
            else:
                seen.add(key)
                kept.append(row)
        log.notes.update(part.notes)
        # Of one place those that are no question stand in front of the row that repeats an id.
        ordered = sorted([*part.rejected, *repeated], key=lambda placed: placed[0])
        log.rejected += [rejection for _, rejection in ordered]
        yield part.questions, np.array(kept, dtype=np.int64)


def _cut_test(train: Questions, fraction: float) -> dict[str, Questions]:
    """Cut `fraction` of each class, at least one question, by a hash of the query id."""
    keys = pl.concat([part.select("id", "question_class") for part in train])
    order = randomness.digests(keys["id"], "marco", "test")
    rank = pl.col("_hash").rank("ordinal").over("question_class")
    size = (pl.len() * fraction).round().clip(lower_bound=1).over("question_class")
    hashed = keys.with_columns(pl.Series("_hash", order, dtype=pl.UInt64))
    held_out = hashed.select(rank <= size).to_series()
    renamed = pl.col("id").str.replace("marco/train/", "marco/test/", literal=True)
    test = train.select(held_out.arg_true())
    return {
        "train": train.select((~held_out).arg_true()),
        "test": Questions.collect(
            (part.with_columns(id=renamed), np.arange(len(part))) for part in test
        ),
    }
