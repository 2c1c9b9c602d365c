"""Experiments sorted into cells: what may be compared with what, and what has not been run.

The experiments of a cell share everything but regime and seed: model, dataset, and every other
parameter that differs between this repository's experiments. All of them were tested on the same
questions, so their regimes can be compared question by question.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, TypeVar

from tracekd.comparison.experiments import DosedRegime, Experiment
from tracekd.comparison.locks import canonical

_AXES = ("model", "dataset", "trace_mode", "corruption", "seed")
#: Neither changes the scores: probes do not touch the predictions, and the content of a path is
#: pinned by the `sha256` beside it, which is compared like any other parameter.
_WITHOUT_EFFECT = re.compile(r"probes(\..*)?|(datasets|models)\.yaml:[^.]+\.path")
T = TypeVar("T")


@dataclass(frozen=True, order=True)
class Cell:
    """What the experiments of a cell share.

    Attributes:
        rest: (parameter, value as JSON) for each further parameter that differs between the
            experiments with this model and dataset.
    """

    dataset: str
    model: str
    rest: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The cell in one line."""
        return ", ".join(
            [f"{self.model} on {self.dataset}", *(f"{name} {value}" for name, value in self.rest)]
        )


class RunKey(NamedTuple):
    """What identifies an experiment within its cell."""

    regime: DosedRegime
    seed: int


#: Cell -> the experiments with each key, newest first.
Grid = Mapping[Cell, Mapping[RunKey, list[Experiment]]]


def arrange(experiments: Iterable[Experiment]) -> Grid:
    """Return the experiments by cell, then regime and seed."""
    families: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for one in experiments:
        families[one.dataset, one.model].append(one)
    grid: dict[Cell, dict[RunKey, list[Experiment]]] = {}
    for (dataset, model), family in sorted(families.items()):
        for rest, members in sorted(_comparable(family).items()):
            runs: dict[RunKey, list[Experiment]] = defaultdict(list)
            for one in sorted(members, key=lambda one: -one.time):
                runs[RunKey(one.regime, one.seed)].append(one)
            ordered = sorted(runs, key=lambda key: (key.regime.place, key.seed))
            grid[Cell(dataset, model, rest)] = {key: runs[key] for key in ordered}
    return grid


def distinguished(cells: Mapping[Cell, T]) -> dict[Cell, T]:
    """Return `cells` with only those further parameters in which they differ among themselves."""
    named = {}
    for cell, value in cells.items():
        family = [dict(other.rest) for other in _family(cell, cells)]
        rest = tuple(
            (name, text) for name, text in cell.rest if any(o.get(name) != text for o in family)
        )
        named[Cell(cell.dataset, cell.model, rest)] = value
    return named


def not_paired(cells: Collection[Cell]) -> list[str]:
    """Return why cells with the same model and dataset are not compared with each other."""
    lines = []
    for dataset, model in dict.fromkeys((cell.dataset, cell.model) for cell in cells):
        family = [dict(cell.rest) for cell in _family(Cell(dataset, model), cells)]
        for name in sorted({name for rest in family for name in rest}):
            values = sorted({rest.get(name, "absent") for rest in family})
            if len(values) > 1:
                why = (
                    "the test questions differ"
                    if name in ("data_seed", "questions") or name.startswith("prepare.")
                    else "only regime and seed may differ"
                )
                found = " / ".join(values)
                lines.append(f"{model} on {dataset}: {name} is {found}; not compared, since {why}")
    return lines


def missing(grid: Grid) -> list[str]:
    """Return what each cell lacks of all regimes and seeds: "small on worlds: correct seed 2"."""
    keys = {key for runs in grid.values() for key in runs}
    regimes = sorted({key.regime for key in keys}, key=lambda regime: regime.place)
    seeds = sorted({key.seed for key in keys})
    lines = []
    for cell, runs in grid.items():
        lacking = {
            regime: [str(seed) for seed in seeds if RunKey(regime, seed) not in runs]
            for regime in regimes
        }
        parts = [
            f"{regime.label} seed{'s' * (len(few) > 1)} {', '.join(few)}"
            for regime, few in lacking.items()
            if few
        ]
        if parts:
            lines.append(f"{cell.label}: {'; '.join(parts)}")
    return lines


def _family(cell: Cell, cells: Iterable[Cell]) -> list[Cell]:
    return [o for o in cells if (o.dataset, o.model) == (cell.dataset, cell.model)]


def _comparable(
    family: Collection[Experiment],
) -> Mapping[tuple[tuple[str, str], ...], list[Experiment]]:
    """Group experiments by every parameter that differs between them, and by their questions.

    Questions can differ although no parameter does (code, raw data).
    """
    values: dict[str, set[str]] = defaultdict(set)
    for one in family:
        for name, value in one.run.params.items():
            if name not in _AXES and not _WITHOUT_EFFECT.fullmatch(name):
                values[name].add(canonical(value))
    differing = sorted(name for name, found in values.items() if len(found) > 1)
    groups: dict[tuple[tuple[str, str], ...], list[Experiment]] = defaultdict(list)
    for one in family:
        params = one.run.params
        groups[
            tuple((name, canonical(params[name])) for name in differing if name in params)
        ].append(one)
    split: dict[tuple[tuple[str, str], ...], list[Experiment]] = defaultdict(list)
    for rest, members in groups.items():
        several = len({one.run.questions for one in members}) > 1
        for one in members:
            mark = (("questions", one.run.questions[:7]),) if several else ()
            split[rest + mark].append(one)
    return split
