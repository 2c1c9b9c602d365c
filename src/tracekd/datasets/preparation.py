"""A dataset from its source to the three splits, and the manifest that accounts for every row."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec, PrepareParams
from tracekd.datasets import Loaded, Rejection, Wanted, reader, sources, splits
from tracekd.datasets.overlap import near_duplicates
from tracekd.errors import TracekdError
from tracekd.records import check_unique

#: How many sources of each reason for rejection the manifest lists.
LISTED = 20
#: Share of questions that a simulator makes beyond those needed: duplicates leave train.
_SPARE = 0.05


@dataclass(frozen=True)
class Prepared:
    """The three splits in the schema `tracekd.records.QUESTIONS`, and their manifest."""

    tables: dict[str, pl.DataFrame]
    manifest: dict[str, Any]


def prepare(spec: DatasetSpec, sizes: PrepareParams, data_seed: int) -> Prepared:
    """Read a dataset and split it.

    Raises:
        TracekdError: if the source is absent, damaged or not as pinned, or too small for `sizes`.
    """
    loaded = sources.load(spec, _wanted(sizes, data_seed))
    keys = {split: rows.with_row_index("row") for split, rows in loaded.keys.items()}
    check_unique(pl.concat(keys.values()).select("id"), f"datasets.yaml: {spec.name}")
    if sizes.split == "by_entity":
        keys = {split: _with_entities(rows, split, loaded, spec) for split, rows in keys.items()}
    made = splits.split(keys["train"], keys["test"], sizes, data_seed)
    tables = _fetch(loaded, made.tables)
    manifest = {
        "dataset": spec.name,
        "reader": spec.reader,
        "source": _source(spec),
        "options": spec.options,
        "data_seed": data_seed,
        "tuned": data_seed in spec.tuned_on,
        "raw": dict(loaded.raw),
        "upstream": {split: counts(rows) for split, rows in keys.items()},
        "splits": {split: counts(rows) for split, rows in made.tables.items()},
        "rejected": {
            "count": len(loaded.rejected),
            "reasons": rejections_by_reason(loaded.rejected),
        },
        "removed_from_train": {
            "in_test": counts(made.in_test),
            "in_validation": counts(made.in_validation),
            "share_entity": counts(made.share_entity),
        },
        "notes": dict(loaded.notes),
        "near_duplicates_in_train": near_duplicates(tables["test"], tables["train"]),
    }
    return Prepared(tables, manifest)


def _fetch(loaded: Loaded, chosen: Mapping[str, pl.DataFrame]) -> dict[str, pl.DataFrame]:
    """Return the questions of each split; raw files are read once for train and validation."""
    tables: dict[str, pl.DataFrame] = {}
    for upstream, names in (("train", ("train", "validation")), ("test", ("test",))):
        rows = pl.concat([chosen[name]["row"] for name in names]).sort().to_list()
        found = loaded.fetch(upstream, rows)
        tables |= {name: splits.in_order_of(found, chosen[name]) for name in names}
    return tables


def messages(prepared: Prepared) -> list[str]:
    """Return what a user should know: what was left out or repaired, and if figures are tuned."""
    reasons: dict[str, dict[str, Any]] = prepared.manifest["rejected"]["reasons"]
    notes: dict[str, int] = prepared.manifest["notes"]
    tuned = (
        f"settings were chosen on data_seed {prepared.manifest['data_seed']} (datasets.yaml: "
        "tuned_on): figures that you publish should come from another one"
    )
    return [
        *([tuned] if prepared.manifest["tuned"] else []),
        *(
            f"left out: {found['count']} raw records: {reason} (first {found['first'][0]})"
            for reason, found in reasons.items()
        ),
        *(f"note: {count}: {note}" for note, count in notes.items()),
    ]


def rejections_by_reason(rejected: Iterable[Rejection]) -> dict[str, dict[str, Any]]:
    """Return for each reason its count and its first sources, the most frequent reason first."""
    sources_of: dict[str, list[str]] = {}
    for rejection in rejected:
        sources_of.setdefault(rejection.reason, []).append(rejection.source)
    ordered = sorted(sources_of.items(), key=lambda item: (-len(item[1]), item[0]))
    return {reason: {"count": len(places), "first": places[:LISTED]} for reason, places in ordered}


def counts(keys: pl.DataFrame) -> dict[str, Any]:
    """Return the number of questions, that of distinct ones, and that of each class."""
    classes = keys.group_by("question_class").len().sort("question_class")
    return {
        "questions": len(keys),
        "distinct": keys["identity"].n_unique(),
        "classes": dict(classes.iter_rows()),
    }


def _with_entities(
    keys: pl.DataFrame, split: str, loaded: Loaded, spec: DatasetSpec
) -> pl.DataFrame:
    """Add the column `entities`: what each question is about, as its reader knows it."""
    entities = getattr(reader(spec.reader), "entities", None)
    if entities is None:
        raise TracekdError(
            f"params.yaml: prepare.split: by_entity, but the reader {spec.reader} cannot tell what "
            "a question is about (it has no function entities); choose upstream"
        )
    rows = loaded.fetch(split, range(len(keys))).iter_rows(named=True)
    found = [sorted(entities(row)) for row in rows]
    return keys.with_columns(pl.Series("entities", found, pl.List(pl.String)))


def _wanted(sizes: PrepareParams, data_seed: int) -> Wanted:
    train = sizes.train
    if train is not None:
        if sizes.validation is None:
            train = math.ceil(train / (1 - splits.VALIDATION_SHARE))
        else:
            train += sizes.validation
        train += max(20, round(_SPARE * train))
    return Wanted(data_seed=data_seed, train=train, test=sizes.test)


def _source(spec: DatasetSpec) -> dict[str, Any]:
    if spec.path is not None:
        return {"folder": spec.path, "sha256": spec.sha256}
    if spec.files is not None:
        return {"files": {name: file.url for name, file in spec.files.items()}}
    if spec.hub is not None:
        return {"hub": spec.hub.repo, "revision": spec.hub.revision, "subset": spec.hub.subset}
    return {"simulator": spec.reader}
