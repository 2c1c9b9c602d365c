"""The verdicts of experiments on each question."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd import records
from tracekd.comparison.cells import Cell
from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import SCORES, DosedRegime, Replicate
from tracekd.comparison.store import Store
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
    "cut": "cut",  # whether the output was cut off at infer.max_new_tokens
}


class RegimeScores(NamedTuple):
    """The verdicts of one regime in one cell.

    `measures`: name in `MEASURES` -> (replicates, questions), of steps that the regime teaches.
    """

    replicates: tuple[Replicate, ...]
    measures: Mapping[str, Matrix]

    def rows(self, measure: str, replicates: Sequence[Replicate]) -> Matrix:
        """Return a measure of some replicates, in their order."""
        return self.measures[measure][[self.replicates.index(one) for one in replicates]]


class CellScores(NamedTuple):
    """The verdicts of all regimes of a cell on the same questions.

    Attributes:
        ids: (questions,) in order; all else is in this order.
        classes: (questions,) the class of each question.
        used: the experiments whose verdicts these are.
    """

    ids: pl.Series
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


def load_scores(cells: Mapping[Cell, Sequence[Experiment]], store: Store) -> LoadedScores:
    """Read the scores of the newest usable experiment of each regime and replicate.

    `cells` are those of `arrange`.
    """
    loaded = LoadedScores({}, {}, {})
    for cell, members in cells.items():
        verdicts: dict[DosedRegime, dict[Replicate, pl.DataFrame]] = defaultdict(dict)
        used: list[Experiment] = []
        first = None
        for one in members:
            of_regime = verdicts[one.run.regime]
            if one.run.replicate in of_regime:
                loaded.superseded[one.name] = used[-1].name
                continue
            try:
                table = read_scores(one, store, first)
            except TracekdError as error:
                loaded.unusable[one.name] = str(error)
            else:
                first = table if first is None else first
                of_regime[one.run.replicate] = table
                used.append(one)
        if first is not None:
            classes = first["question_class"].to_numpy().astype(str)
            regimes = {regime: stack(tables) for regime, tables in verdicts.items() if tables}
            loaded.cells[cell] = CellScores(first["id"], classes, regimes, used)
    return loaded


def read_scores(one: Experiment, store: Store, first: pl.DataFrame | None = None) -> pl.DataFrame:
    """Return the table of scores of an experiment in the order of ids, with a column `cut`.

    Raises if it is absent or empty, or has other questions than the `first` table.
    """
    table = store.table(one, SCORES, records.SCORES, extra=True).sort("id")
    if not table.height:
        raise TracekdError("its table of scores has no rows")
    if first is not None and not table["id"].equals(first["id"]):
        other = len(set(table["id"]) ^ set(first["id"]))
        raise TracekdError(f"{other} questions are not in both this and the first experiment")
    return table.with_columns(cut=pl.col("finish_reason") == "length")


def stack(runs: Mapping[Replicate, pl.DataFrame]) -> RegimeScores:
    """Return the verdicts of one regime, given the table of scores of each replicate."""
    measures = {
        measure: np.stack([run[column].cast(pl.Float64).to_numpy() for run in runs.values()])
        for measure, column in MEASURES.items()
        if all(column in run and not run[column].null_count() for run in runs.values())
    }
    return RegimeScores(tuple(runs), measures)
