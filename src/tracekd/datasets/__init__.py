"""Datasets: one module per upstream format in `readers`, and what a reader takes and returns.

A reader turns raw records into rows of `tracekd.records.QUESTIONS`. To add one, add a module to
`readers` with some of these functions:

    raw_files(folder, options) -> list[Path]   the files whose bytes decide what `read` returns
    read(folder, options) -> Loaded            all questions of a folder in the upstream format
    read_hub(hub, options) -> Loaded           the same from the hub, at the pinned revision
    simulate(options, wanted) -> Loaded        questions of our own, in place of the three above
    entities(question) -> set[str]             what a row is about, for `prepare.split: by_entity`
"""

import importlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import polars as pl

from tracekd import records
from tracekd.datasets.keys import keys
from tracekd.errors import TracekdError

#: The one answer of a question that its context does not answer, as in MS MARCO v2.1.
UNANSWERABLE = "No Answer Present."

Row = Mapping[str, Any]


@dataclass(frozen=True)
class Rejection:
    """A raw record that does not make a question.

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
    """How many questions a simulator makes.

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
    """A dataset as upstream splits it: what chooses questions, and the questions once chosen.

    Most readers hold all their rows and return `Loaded.of(...)`. One whose questions do not fit in
    memory gives the keys of all and reads the chosen ones again.

    Attributes:
        keys: "train" and "test": a row of `tracekd.datasets.keys.KEYS` for each question.
        fetch: takes a split and ascending row numbers of its keys; returns these questions as a
            table of `tracekd.records.QUESTIONS`, in the same order.
        rejected: every raw record that is in neither split.
        notes: what was repaired or chosen while reading, with a count each.
        raw: SHA-256 of each raw file by its name; set by `sources.load`.
    """

    keys: Mapping[str, pl.DataFrame]
    fetch: Callable[[str, Sequence[int]], pl.DataFrame]
    rejected: Sequence[Rejection] = ()
    notes: Mapping[str, int] = field(default_factory=dict)
    raw: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        reader: str,
        splits: Mapping[str, Sequence[Row]],
        rejected: Sequence[Rejection] = (),
        notes: Mapping[str, int] | None = None,
    ) -> Self:
        """Hold the rows of both splits in memory.

        Raises:
            TracekdError: naming the reader and the row that does not fit `records.QUESTIONS`, or if
                the splits are not train and test.
        """
        if set(splits) != {"train", "test"}:
            raise TracekdError(
                f"reader {reader}: found the splits {sorted(splits)}, expected train and test; "
                "validation is cut from train, and a reader cuts a test split if upstream has none "
                "(as cotemp.py does)"
            )
        tables = {split: table(rows, f"reader {reader}: {split}") for split, rows in splits.items()}
        return cls(
            keys={split: keys(rows) for split, rows in tables.items()},
            fetch=lambda split, rows: tables[split][list(rows)],
            rejected=rejected,
            notes=notes or {},
        )

    @property
    def splits(self) -> dict[str, pl.DataFrame]:
        """All questions of both splits, in memory."""
        return {split: self.fetch(split, range(len(rows))) for split, rows in self.keys.items()}


def reader(name: str) -> Any:
    """Import the reader module `name`, which `tracekd.config` has checked."""
    return importlib.import_module(f"tracekd.datasets.readers.{name}")


def table(rows: Sequence[Row], name: str = "reader") -> pl.DataFrame:
    """Return what a reader has made of raw records as a checked `tracekd.records.QUESTIONS`.

    Raises:
        TracekdError: if a row lacks a key or has a value of a wrong type (text in place of a list
            would become a list of letters), or if its gold facts are not in its context.
    """
    for row in rows:
        for key, dtype in records.QUESTIONS.items():
            if key not in row:
                fault = f"{key} is missing"
            elif not _fits(row[key], dtype):
                fault = f"{key} is {row[key]!r:.100}"
            else:
                continue
            place = f"{row.get('source', 'a row')}: {row.get('id', 'without id')}"
            raise TracekdError(f"{name}: {place}: {fault}, expected {dtype}")
    columns = {key: [row[key] for row in rows] for key in records.QUESTIONS}
    made = pl.DataFrame(columns, schema=dict(records.QUESTIONS))
    checked = records.check(made, records.QUESTIONS, name)
    records.check_questions(checked, name)
    return checked


def _fits(value: Any, dtype: Any) -> bool:
    if value is None:  # whether it may be is checked later
        return True
    if isinstance(dtype, pl.List):
        kind = str if dtype.inner == pl.String else int
        return isinstance(value, list) and all(type(item) is kind for item in value)
    return isinstance(value, str)
