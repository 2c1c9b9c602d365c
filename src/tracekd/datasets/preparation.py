"""A data set from its source to the three splits, and the manifest that accounts for every row."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from tracekd import pools, records, tables
from tracekd.config import DatasetSpec, PrepareParams
from tracekd.datasets import Loaded, Rejection, Wanted, sources, splits
from tracekd.datasets.overlap import near_duplicates
from tracekd.datasets.questions import Questions
from tracekd.errors import TracekdError
from tracekd.files import atomic_directory, write_json

#: How many sources of each reason for rejection the manifest lists.
LISTED = 20
#: Share of questions that a simulator makes beyond those asked: repeats leave train.
_SPARE = 0.05
_NONE = pl.DataFrame(schema=dict(records.QUESTIONS))


@dataclass(frozen=True)
class Prepared:
    """The three splits in the schema `tracekd.records.QUESTIONS`, and their manifest.

    Attributes:
        counted: the manifest without near-duplicates, which take as long to find as all else.
    """

    splits: dict[str, Questions]
    counted: dict[str, Any]

    @cached_property
    def manifest(self) -> dict[str, Any]:
        """What each raw row has become, and what train and test have in common."""
        near = near_duplicates(self.splits["test"], self.splits["train"])
        return {**self.counted, "near_duplicates_in_train": near}


def prepare(name: str, spec: DatasetSpec, sizes: PrepareParams, data_seed: int) -> Prepared:
    """Read the data set `name` and split it.

    Raises:
        TracekdError: if the source is absent, damaged or not as pinned, or too small for `sizes`.
    """
    loaded = sources.load(spec, _wanted(sizes, data_seed))
    upstream = {split: Questions.of(rows) for split, rows in loaded.splits.items()}
    keys = _keys(name, upstream)
    made = splits.split(keys["train"], keys["test"], sizes, data_seed)
    _require_own_ids(made.tables)
    questions = {
        split: upstream["test" if split == "test" else "train"].select(rows["row"])
        for split, rows in made.tables.items()
    }
    return Prepared(questions, _counted(name, spec, data_seed, loaded, keys, made))


def told(prepared: Prepared) -> list[str]:
    """Return a line for each reason for which raw records were left out, and for each note."""
    reasons: dict[str, dict[str, Any]] = prepared.counted["rejected"]["reasons"]
    notes: dict[str, int] = prepared.counted["notes"]
    return [
        *(
            f"left out: {found['count']} raw records: {reason} (first {found['first'][0]})"
            for reason, found in reasons.items()
        ),
        *(f"note: {count}: {note}" for note, count in notes.items()),
    ]


def write(prepared: Prepared, folder: Path) -> None:
    """Write `{train,validation,test}.parquet` and `manifest.json`, all or none."""
    with atomic_directory(folder) as temporary:
        with pools.beside(partial(_write_splits, prepared.splits, temporary)) as written:
            manifest = prepared.manifest
        written()
        write_json(temporary / "manifest.json", manifest)


def _write_splits(splits: dict[str, Questions], folder: Path) -> None:
    for name, questions in splits.items():
        tables.write_parts(questions, folder / f"{name}.parquet", records.QUESTIONS)


def rejections_by_reason(rejected: Iterable[Rejection]) -> dict[str, dict[str, Any]]:
    """Return for each reason its count and its first sources, the most frequent reason first."""
    sources_of: dict[str, list[str]] = {}
    for rejection in rejected:
        sources_of.setdefault(rejection.reason, []).append(rejection.source)
    ordered = sorted(sources_of.items(), key=lambda item: (-len(item[1]), item[0]))
    return {reason: {"count": len(places), "first": places[:LISTED]} for reason, places in ordered}


def counts(table: pl.DataFrame) -> dict[str, Any]:
    """Return the number of `identified` questions, that of different ones, and each class's."""
    classes = table.group_by("question_class").len().sort("question_class")
    return {
        "questions": len(table),
        "distinct": splits.distinct(table),
        "classes": dict(classes.iter_rows()),
    }


def _wanted(sizes: PrepareParams, data_seed: int) -> Wanted:
    train = sizes.train
    if train is not None:
        if sizes.validation is None:
            train = math.ceil(train / (1 - splits.VALIDATION_SHARE))
        else:
            train += sizes.validation
        train += max(20, round(_SPARE * train))
    return Wanted(data_seed=data_seed, train=train, test=sizes.test)


def _keys(name: str, upstream: dict[str, Questions]) -> dict[str, pl.DataFrame]:
    """Return what the split is made from, and the place of each question in the column `row`."""
    keys = {split: _opened(rows, f"{name}: {split}") for split, rows in upstream.items()}
    alike = splits.alike(list(keys.values()))
    return {
        split: splits.with_whole(table, rows, _whole(upstream[split].select(rows), name))
        for (split, table), rows in zip(keys.items(), alike, strict=True)
    }


def _opened(questions: Questions, name: str) -> pl.DataFrame:
    parts = questions.map(partial(_opened_part, name), name)
    keys = pl.concat([splits.opened(_NONE), *parts]).with_row_index("row")
    records.check_unique(keys.select("id"), name)
    return keys


def _opened_part(name: str, part: pl.DataFrame) -> pl.DataFrame:
    checked = records.check(part, records.QUESTIONS, name)
    records.check_questions(checked, name)
    return splits.opened(checked)


def _whole(questions: Questions, name: str) -> pl.DataFrame:
    return pl.concat([splits.whole(_NONE), *questions.map(splits.whole, name)])


def _counted(
    name: str,
    spec: DatasetSpec,
    data_seed: int,
    loaded: Loaded,
    upstream: dict[str, pl.DataFrame],
    made: splits.Split,
) -> dict[str, Any]:
    return {
        "dataset": name,
        "reader": spec.reader,
        "source": _source(spec),
        "options": spec.options,
        "data_seed": data_seed,
        "raw": loaded.raw,
        "upstream": {split: counts(table) for split, table in upstream.items()},
        "splits": {split: counts(table) for split, table in made.tables.items()},
        "rejected": {
            "count": len(loaded.rejected),
            "reasons": rejections_by_reason(loaded.rejected),
        },
        "left_train": {
            "stands_in_test": counts(made.in_test),
            "stands_in_validation": counts(made.in_validation),
        },
        "notes": loaded.notes,
    }


def _require_own_ids(tables: dict[str, pl.DataFrame]) -> None:
    ids = pl.concat([table["id"] for table in tables.values()])
    if ids.n_unique() < len(ids):
        twice = ids.filter(ids.is_duplicated())[0]
        raise TracekdError(
            f"id {twice!r} stands in two splits; a reader must give each question an id of its own"
        )


def _source(spec: DatasetSpec) -> dict[str, Any]:
    if spec.path is not None:
        return {"folder": spec.path, "sha256": spec.sha256}
    if spec.hub is not None:
        return {"hub": spec.hub.repo, "revision": spec.hub.revision, "subset": spec.hub.subset}
    return {"simulator": spec.reader}
