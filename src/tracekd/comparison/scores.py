"""The verdicts of experiments on each question, read from DVC's cache or the workspace."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd import records
from tracekd.comparison.experiments import DosedRegime, Experiment
from tracekd.comparison.grid import Cell, Grid, RunKey
from tracekd.comparison.locks import SCORES
from tracekd.errors import TracekdError

Matrix = NDArray[np.float64]

#: Measure -> column of the table of scores.
MEASURES = {
    "answer": "answer_correct",
    "class": "class_correct",
    "facts_f1": "facts_f1",
    "facts_exact": "facts_exact",
    "trace": "trace_correct",
}


@dataclass(frozen=True)
class RegimeScores:
    """The verdicts of one regime in one cell.

    Attributes:
        seeds: one for each row of the matrices.
        measures: name in `MEASURES` -> (seeds, questions); only measures of steps that the regime
            teaches.
    """

    seeds: tuple[int, ...]
    measures: Mapping[str, Matrix]


@dataclass(frozen=True)
class CellScores:
    """The verdicts of all regimes of a cell on the same questions.

    Attributes:
        classes: (questions,) the class of each question; questions in the order of their ids.
    """

    classes: NDArray[np.str_]
    regimes: Mapping[DosedRegime, RegimeScores]


@dataclass
class LoadedScores:
    """What could be read, and what could not.

    Attributes:
        cells: verdicts; only cells of which any could be read.
        used: the experiments whose verdicts these are.
        superseded: name of an older experiment with the same key -> the one used in its place.
        absent: names of experiments whose scores are not on this machine.
        unusable: experiment name -> what is wrong with its scores.
    """

    cells: dict[Cell, CellScores] = field(default_factory=dict)
    used: dict[Cell, list[Experiment]] = field(default_factory=dict)
    superseded: dict[str, str] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    unusable: dict[str, str] = field(default_factory=dict)


def load_scores(grid: Grid, root: Path, cache: Path) -> LoadedScores:
    """Read the scores of the newest readable experiment of each key.

    Args:
        grid: the experiments.
        root: the project, whose own table of scores may not be in the cache.
        cache: the folder of DVC's cache.
    """
    loaded = LoadedScores()
    for cell, runs in grid.items():
        verdicts: dict[RunKey, pl.DataFrame] = {}
        used = []
        for key, candidates in runs.items():
            first = next(iter(verdicts.values()), None)
            for place, one in enumerate(candidates):
                table = _table(one, root, cache, first, loaded)
                if table is not None:
                    verdicts[key] = table
                    used.append(one)
                    loaded.superseded |= {o.name: one.name for o in candidates[place + 1 :]}
                    break
        if verdicts:
            loaded.cells[cell] = stack(verdicts)
            loaded.used[cell] = used
    return loaded


def stack(tables: Mapping[RunKey, pl.DataFrame]) -> CellScores:
    """Return the verdicts of tables of scores with the same ids in the same order."""
    first = next(iter(tables.values()))
    regimes = {}
    for regime in dict.fromkeys(key.regime for key in tables):
        runs = {key.seed: table for key, table in tables.items() if key.regime == regime}
        measures = {
            measure: np.stack(
                [table[column].cast(pl.Float64).to_numpy() for table in runs.values()]
            )
            for measure, column in MEASURES.items()
            if not any(table[column].null_count() for table in runs.values())
        }
        regimes[regime] = RegimeScores(tuple(runs), measures)
    return CellScores(first["question_class"].to_numpy().astype(str), regimes)


def cached_file(cache: Path, md5: str) -> Path:
    """Return the path of the file with this MD5 in DVC's cache."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _table(
    experiment: Experiment,
    root: Path,
    cache: Path,
    first: pl.DataFrame | None,
    loaded: LoadedScores,
) -> pl.DataFrame | None:
    """Return an experiment's table, or None after noting in `loaded` why it cannot be used."""
    path = _find(experiment.run.scores, [cached_file(cache, experiment.run.scores), root / SCORES])
    if path is None:
        loaded.absent.append(experiment.name)
        return None
    try:
        table = records.read(path, records.SCORES, extra=True).sort("id")
        _check_questions(table, table if first is None else first)
    except TracekdError as error:
        loaded.unusable[experiment.name] = str(error)
        return None
    return table


def _find(md5: str, places: Sequence[Path]) -> Path | None:
    cached, workspace = places
    if cached.is_file():
        return cached
    if workspace.is_file():
        content = workspace.read_bytes()
        if hashlib.md5(content, usedforsecurity=False).hexdigest() == md5:
            return workspace
    return None


def _check_questions(table: pl.DataFrame, first: pl.DataFrame) -> None:
    if not table.height:
        raise TracekdError("its table of scores has no rows")
    if not table["id"].equals(first["id"]):
        other = len(set(table["id"]) ^ set(first["id"]))
        raise TracekdError(f"{other} questions are not in both this and the first experiment")
