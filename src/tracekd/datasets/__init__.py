"""Data sets: one module per upstream format, and what every reader takes and returns.

A reader module has `read`. One that reads files has `raw_files` too, and one whose data set lies on
the hub has `read_hub`; each turns raw records into rows of `tracekd.records.QUESTIONS`.
"""

import importlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

import polars as pl

from tracekd.columns import column
from tracekd.config import HubDataset
from tracekd.errors import TracekdError
from tracekd.records import QUESTIONS

if TYPE_CHECKING:
    from tracekd.datasets.questions import Questions

#: The one answer of a question that its context does not answer, as MS MARCO v2.1 writes it.
UNANSWERABLE = "No Answer Present."


class _Absent:
    """The type of what stands for a key that a row lacks."""


_ABSENT = _Absent()


@dataclass(frozen=True)
class Rejection:
    """A raw record that makes no question.

    Attributes:
        source: "file:line".
        reason: one sentence without the record's own values, so that equal faults count together.
    """

    source: str
    reason: str


def most_frequent(rejected: Sequence[Rejection]) -> str:
    """Return the tail of a "zero questions" message: the commonest reason, and where it is first.

    >>> most_frequent([Rejection("a.json:1", "no id")]), most_frequent([])
    ('; left out: 1 records, most: no id (first a.json:1)', '; there is no record')
    """
    if not rejected:
        return "; there is no record"
    reason, _ = Counter(rejection.reason for rejection in rejected).most_common(1)[0]
    first = next(rejection.source for rejection in rejected if rejection.reason == reason)
    return f"; left out: {len(rejected)} records, most: {reason} (first {first})"


@dataclass(frozen=True)
class Wanted:
    """How many questions a simulator makes; readers of files give all there are.

    Attributes:
        data_seed: decides which questions.
        train: includes those that validation will be cut from; None if params.yaml has null.
        test: None if params.yaml has null.
    """

    data_seed: int
    train: int | None
    test: int | None


@dataclass(frozen=True)
class Loaded:
    """A data set as upstream splits it.

    Attributes:
        splits: "train" and "test", each in the schema `tracekd.records.QUESTIONS`; in parts if
            they are so many that they do not fit the memory.
        rejected: every raw record that is in neither.
        raw: SHA-256 of each raw file by its name; empty for simulators and the hub.
        notes: what was tidied or chosen while reading, with a count each.
    """

    splits: Mapping[str, "pl.DataFrame | Questions"]
    rejected: list[Rejection]
    raw: dict[str, str] = field(default_factory=dict)
    notes: dict[str, int] = field(default_factory=dict)


class Reader(Protocol):
    """A module of this package, as `reader` returns it."""

    def read(self, folder: Path | None, options: dict[str, Any], wanted: Wanted) -> Loaded:
        """Return all questions of `folder`, or of the simulator."""


class FileReader(Reader, Protocol):
    """A reader of files in the upstream format."""

    def raw_files(self, folder: Path, options: dict[str, Any]) -> list[Path]:
        """Return the files whose bytes decide what `read` returns."""


class HubReader(FileReader, Protocol):
    """A reader whose data set lies on the hub as well."""

    def read_hub(self, hub: HubDataset, options: dict[str, Any]) -> Loaded:
        """Return all questions of the hub repository at its pinned revision."""


def reader(name: str) -> Reader:
    """Import the reader module `name`, which `tracekd.config` has checked."""
    return cast(Reader, importlib.import_module(f"tracekd.datasets.readers.{name}"))


def table(rows: Sequence[Mapping[str, Any]]) -> pl.DataFrame:
    """Return rows with the keys of `QUESTIONS` as a table in that schema.

    Raises:
        TracekdError: if a row lacks a key, or has text where a list belongs: it would be taken for
            a list of letters.
    """
    return pl.DataFrame([_column(name, dtype, rows) for name, dtype in QUESTIONS.items()])


def _column(
    name: str, dtype: pl.DataType | type[pl.DataType], rows: Sequence[Mapping[str, Any]]
) -> pl.Series:
    values = [row.get(name, _ABSENT) for row in rows]
    wrong: dict[type, str] = {_Absent: "is missing"}
    if isinstance(dtype, pl.List):
        wrong[str] = "is text"
    for kind in wrong.keys() & set(map(type, values)):
        row = next(row for row, value in zip(rows, values, strict=True) if type(value) is kind)
        raise TracekdError(
            f"{row.get('source', 'a row')}: {row.get('id', 'without id')}: {name} {wrong[kind]} in "
            f"what the reader gives; found {dict(row)!r:.300}, expected {dtype}"
        )
    return column(name, values, dtype)
