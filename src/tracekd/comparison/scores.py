"""The verdicts of experiments on each question, read from DVC's cache or the workspace."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd import records
from tracekd.comparison.cells import Cell, Cells, RunKey
from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import SCORES, DosedRegime, Replicate
from tracekd.errors import TracekdError

Matrix = NDArray[np.float64]

#: Measure -> column of the table of scores.
MEASURES = {
    "answer": "answer_correct",
    "class": "class_correct",
    "facts_f1": "facts_f1",
    "facts_exact": "facts_exact",
    "trace": "trace_correct",
    "corrected": "corrected",  # the verdict of a corrected answer metric, where there is one
}


class RegimeScores(NamedTuple):
    """The verdicts of one regime in one cell.

    Attributes:
        replicates: one for each row of the matrices.
        measures: name in `MEASURES` -> (replicates, questions); only measures of steps that the
            regime teaches.
    """

    replicates: tuple[Replicate, ...]
    measures: Mapping[str, Matrix]

    def rows(self, measure: str, replicates: Sequence[Replicate]) -> Matrix:
        """Return a measure of some replicates, in their order."""
        return self.measures[measure][[self.replicates.index(one) for one in replicates]]


class CellScores(NamedTuple):
    """The verdicts of all regimes of a cell on the same questions.

    Attributes:
        classes: (questions,) the class of each question; questions in the order of their ids.
        used: the experiments whose verdicts these are.
    """

    classes: NDArray[np.str_]
    regimes: Mapping[DosedRegime, RegimeScores]
    used: Sequence[Experiment]


class LoadedScores(NamedTuple):
    """What could be read.

    Attributes:
        superseded: name of an older experiment with the same key -> the one used in its place.
        unusable: experiment name -> what is wrong with its scores.
    """

    cells: dict[Cell, CellScores]
    superseded: dict[str, str]
    unusable: dict[str, str]


def cached_file(cache: Path, md5: str) -> Path:
    """Return the path of the file with this MD5 in DVC's cache."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def find_tables(experiments: Iterable[Experiment], root: Path, cache: Path) -> dict[str, Path]:
    """Return MD5 -> path of the experiments' tables of scores that are on this machine.

    The table in the workspace need not be in the cache (`dvc repro --no-commit`).
    """
    found = {}
    if (root / SCORES).is_file():
        content = (root / SCORES).read_bytes()
        found[hashlib.md5(content, usedforsecurity=False).hexdigest()] = root / SCORES
    for md5 in {one.run.scores for one in experiments}:
        if (path := cached_file(cache, md5)).is_file():
            found[md5] = path
    return found


def load_scores(cells: Cells, tables: Mapping[str, Path]) -> LoadedScores:
    """Read the scores of the newest usable experiment of each key, given `find_tables`."""
    loaded = LoadedScores({}, {}, {})
    for cell, runs in cells.items():
        verdicts: dict[RunKey, pl.DataFrame] = {}
        used: list[Experiment] = []
        for key, candidates in runs.items():
            for one in candidates:
                if key in verdicts:
                    loaded.superseded[one.name] = used[-1].name
                    continue
                try:
                    table = _read(tables[one.run.scores], next(iter(verdicts.values()), None))
                except TracekdError as error:
                    loaded.unusable[one.name] = str(error)
                else:
                    verdicts[key] = table
                    used.append(one)
        if verdicts:
            classes = next(iter(verdicts.values()))["question_class"].to_numpy().astype(str)
            loaded.cells[cell] = CellScores(classes, _stack(verdicts), used)
    return loaded


def _read(path: Path, first: pl.DataFrame | None) -> pl.DataFrame:
    table = records.read(path, records.SCORES, extra=True).sort("id")
    if not table.height:
        raise TracekdError("its table of scores has no rows")
    if first is not None and not table["id"].equals(first["id"]):
        other = len(set(table["id"]) ^ set(first["id"]))
        raise TracekdError(f"{other} questions are not in both this and the first experiment")
    return table


def _stack(tables: Mapping[RunKey, pl.DataFrame]) -> dict[DosedRegime, RegimeScores]:
    regimes = {}
    for regime in dict.fromkeys(key.regime for key in tables):
        runs = {key.replicate: table for key, table in tables.items() if key.regime == regime}
        measures = {
            measure: np.stack([run[column].cast(pl.Float64).to_numpy() for run in runs.values()])
            for measure, column in MEASURES.items()
            if all(column in run and not run[column].null_count() for run in runs.values())
        }
        regimes[regime] = RegimeScores(tuple(runs), measures)
    return regimes
