"""The per-question verdicts of experiments, read straight from DVC's cache."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd import records, tables
from tracekd.comparison.experiments import Experiment, cached_file
from tracekd.comparison.grid import Grid, Setting
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
    """The verdicts of one regime in one setting.

    Attributes:
        seeds: one for each row of the matrices.
        measures: name in `MEASURES` -> (seeds, questions); a measure is left out if the regime
            teaches no such step.
    """

    seeds: tuple[int, ...]
    measures: Mapping[str, Matrix]


@dataclass(frozen=True)
class SettingScores:
    """The verdicts of all regimes of a setting on the same questions.

    Attributes:
        classes: (questions,) the class of each question; questions in the order of their ids.
    """

    classes: NDArray[np.str_]
    regimes: Mapping[str, RegimeScores]


@dataclass(frozen=True)
class Loaded:
    """What could be read, and experiments that could not.

    Attributes:
        absent: experiments whose scores are not in the cache.
        unusable: experiment name -> what is wrong with its table.
    """

    settings: Mapping[Setting, SettingScores]
    absent: list[Experiment]
    unusable: Mapping[str, str]


def load(grid: Grid, cache: Path) -> Loaded:
    """Read the scores of every experiment that counts.

    Args:
        grid: the experiments.
        cache: the folder of DVC's cache.
    """
    settings: dict[Setting, SettingScores] = {}
    absent: list[Experiment] = []
    unusable: dict[str, str] = {}
    for setting, cells in grid.settings.items():
        verdicts: dict[tuple[str, int], pl.DataFrame] = {}
        for key, experiment in cells.items():
            path = cached_file(cache, experiment.run.scores)
            if not path.is_file():
                absent.append(experiment)
                continue
            try:
                table = tables.read(path, records.SCORES, extra=True).sort("id")
                _check_questions(table, next(iter(verdicts.values()), table))
                verdicts[key] = table
            except TracekdError as error:
                unusable[experiment.name] = str(error)
        if verdicts:
            settings[setting] = stack(verdicts)
    return Loaded(settings, absent, unusable)


def stack(tables: Mapping[tuple[str, int], pl.DataFrame]) -> SettingScores:
    """Return the verdicts of (regime, seed) -> table of scores; the same ids in the same order."""
    first = next(iter(tables.values()))
    regimes = {}
    for regime in dict.fromkeys(regime for regime, _ in tables):
        runs = {seed: table for (name, seed), table in tables.items() if name == regime}
        measures = {
            measure: np.stack(
                [table[column].cast(pl.Float64).to_numpy() for table in runs.values()]
            )
            for measure, column in MEASURES.items()
            if not any(table[column].null_count() for table in runs.values())
        }
        regimes[regime] = RegimeScores(tuple(runs), measures)
    return SettingScores(first["question_class"].to_numpy().astype(str), regimes)


def _check_questions(table: pl.DataFrame, first: pl.DataFrame) -> None:
    if not table.height:
        raise TracekdError("its table of scores has no row")
    if not table["id"].equals(first["id"]):
        other = len(set(table["id"]) ^ set(first["id"]))
        raise TracekdError(f"{other} questions are not in both this and the first experiment")
