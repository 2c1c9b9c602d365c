"""The per-question verdicts of experiments, read straight from DVC's cache."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd import records, tables
from tracekd.comparison.experiments import Experiment, cached_file
from tracekd.comparison.grid import Cells, Grid, Key, Setting
from tracekd.comparison.machines import Facts, read_cards
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
        settings: verdicts, of those settings of which any could be read.
        grid: as it was given, but the newest experiment that could be read counts for its key.
        absent: experiments whose scores are not in the cache.
        unusable: experiment name -> what is wrong with its table.
        stand_ins: an experiment of these two -> the older one that was read in its place.
        cards: see `machines.read_cards`; of the experiments of `grid`.
    """

    settings: Mapping[Setting, SettingScores]
    grid: Grid
    absent: list[Experiment]
    unusable: Mapping[str, str]
    stand_ins: Mapping[str, str]
    cards: Mapping[str, Facts]


def load(grid: Grid, cache: Path) -> Loaded:
    """Read the scores of every experiment that counts, or the newest older one that has any.

    A newer run whose scores are elsewhere, such as one that came with a pulled commit, must not
    take the place of a run whose scores are here.

    Args:
        grid: the experiments.
        cache: the folder of DVC's cache.
    """
    reading = _Reading(cache)
    settings: dict[Setting, SettingScores] = {}
    counting: dict[Setting, Cells] = {}
    older: dict[tuple[Setting, Key], Sequence[Experiment]] = {}
    for setting, cells in grid.settings.items():
        verdicts: dict[Key, pl.DataFrame] = {}
        counting[setting] = {}
        for key, newest in cells.items():
            candidates = [newest, *grid.older.get((setting, key), ())]
            place, table = reading.newest_readable(candidates, next(iter(verdicts.values()), None))
            if table is not None:
                verdicts[key] = table
            counting[setting][key] = candidates[place]
            older[setting, key] = candidates[place + 1 :]
        if verdicts:
            settings[setting] = stack(verdicts)
    cards = read_cards((one for cells in counting.values() for one in cells.values()), cache)
    return Loaded(
        settings, Grid(counting, older), reading.absent, reading.unusable, reading.stand_ins, cards
    )


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


class _Reading:
    """Reads tables of scores from the cache and keeps account of those that cannot be read."""

    def __init__(self, cache: Path) -> None:
        self._cache = cache
        self.absent: list[Experiment] = []
        self.unusable: dict[str, str] = {}
        self.stand_ins: dict[str, str] = {}

    def newest_readable(
        self, candidates: Sequence[Experiment], first: pl.DataFrame | None
    ) -> tuple[int, pl.DataFrame | None]:
        """Return the first candidate's place whose table can be read, and the table.

        If none can be, the first candidate alone is accounted for: it is the one to fetch.

        Args:
            candidates: newest first.
            first: the table whose questions must be the same, if there is one yet.
        """
        failed: list[tuple[Experiment, str | None]] = []
        for place, experiment in enumerate(candidates):
            table = self._table(experiment, first)
            if isinstance(table, pl.DataFrame):
                self._account(failed)
                self.stand_ins |= {one.name: experiment.name for one, _ in failed}
                return place, table
            failed.append((experiment, table))
        self._account(failed[:1])
        return 0, None

    def _account(self, failed: Sequence[tuple[Experiment, str | None]]) -> None:
        for experiment, fault in failed:
            if fault is None:
                self.absent.append(experiment)
            else:
                self.unusable[experiment.name] = fault

    def _table(
        self, experiment: Experiment, first: pl.DataFrame | None
    ) -> pl.DataFrame | str | None:
        """Return the table, what is wrong with it, or None if it is not in the cache."""
        path = cached_file(self._cache, experiment.run.scores)
        if not path.is_file():
            return None
        try:
            table = tables.read(path, records.SCORES, extra=True).sort("id")
            _check_questions(table, table if first is None else first)
        except TracekdError as error:
            return str(error)
        return table


def _check_questions(table: pl.DataFrame, first: pl.DataFrame) -> None:
    if not table.height:
        raise TracekdError("its table of scores has no row")
    if not table["id"].equals(first["id"]):
        other = len(set(table["id"]) ^ set(first["id"]))
        raise TracekdError(f"{other} questions are not in both this and the first experiment")
