"""Experiments sorted into cells: what may be compared with what, and what has not been run.

The experiments of a cell share everything but regime and seeds: model, dataset, and every other
parameter that differs between this repository's experiments. All of them were tested on the same
questions, so their regimes can be compared question by question.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import NamedTuple

from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import QUESTIONS, DosedRegime, Replicate, canonical

_AXES = ("model", "dataset", "trace_mode", "corruption", "seed", "sample_seed")
#: None changes the scores: probes do not touch the predictions, trackers only look on, sample 0 is
#: the same however many there are, `tuned_on` and `licence` are notes, and the content of a path is
#: pinned by the `sha256` beside it, which is compared like any parameter.
_WITHOUT_EFFECT = re.compile(
    r"probes(\..*)?|train\.report_to|infer\.samples"
    r"|(datasets|models)\.yaml:[^.]+\.(path|tuned_on|licence)"
    r"|teachers\.yaml:[^.]+\.(path|endpoint\.(key|concurrency|timeout|retries)|batch_size)"
)

#: (parameter, value as JSON) for each further parameter that differs between the experiments with
#: one model and dataset.
Rest = tuple[tuple[str, str], ...]


@dataclass(frozen=True, order=True)
class Cell:
    """What the experiments of a cell share."""

    dataset: str
    model: str
    rest: Rest = ()

    @property
    def label(self) -> str:
        """The cell in one line."""
        return ", ".join([f"{self.model} on {self.dataset}", *map(" ".join, self.rest)])


class RunKey(NamedTuple):
    """What identifies an experiment within its cell."""

    regime: DosedRegime
    replicate: Replicate


#: Cell -> the experiments with each key, newest first.
Cells = Mapping[Cell, Mapping[RunKey, list[Experiment]]]


def arrange(experiments: Iterable[Experiment]) -> Cells:
    """Return the experiments by cell, then regime and replicate."""
    families: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for one in experiments:
        families[one.run.dataset, one.run.model].append(one)
    cells: dict[Cell, dict[RunKey, list[Experiment]]] = {}
    for (dataset, model), family in sorted(families.items()):
        for rest, members in sorted(_comparable(family).items()):
            runs: dict[RunKey, list[Experiment]] = defaultdict(list)
            for one in sorted(members, key=lambda one: -one.time):
                runs[RunKey(one.run.regime, one.run.replicate)].append(one)
            ordered = sorted(runs, key=lambda key: (key.regime.place, key.replicate))
            cells[Cell(dataset, model, rest)] = {key: runs[key] for key in ordered}
    return cells


def not_paired(cells: Iterable[Cell]) -> list[str]:
    """Return why cells with the same model and dataset are not compared with each other."""
    lines = []
    for (model, dataset), family in groupby(cells, lambda cell: (cell.model, cell.dataset)):
        values: dict[str, set[str]] = defaultdict(set)
        for name, value in (pair for cell in family for pair in cell.rest):
            values[name].add(value)
        for name, seen in sorted(values.items()):
            other_questions = name in ("data_seed", "questions") or name.startswith("prepare.")
            why = "the test questions" if other_questions else "more than regime and seed"
            found = " / ".join(sorted(seen))
            lines.append(f"{model} on {dataset}: {name} is {found}, so {why} differ")
    return lines


def missing(cells: Cells) -> list[str]:
    """Return what each cell lacks of all regimes and seeds: "small on worlds: correct seed 2"."""
    keys = {key for runs in cells.values() for key in runs}
    regimes = sorted({key.regime for key in keys}, key=lambda regime: regime.place)
    replicates = sorted({key.replicate for key in keys})
    lines = []
    for cell, runs in cells.items():
        lacking = {
            regime.label: [one.label for one in replicates if RunKey(regime, one) not in runs]
            for regime in regimes
        }
        parts = [f"{label} seed {', '.join(few)}" for label, few in lacking.items() if few]
        if parts:
            lines.append(f"{cell.label}: {'; '.join(parts)}")
    return lines


def differing(experiments: Iterable[Experiment]) -> list[str]:
    """Return the parameters that differ between experiments, but for regime, seeds and names."""
    values: dict[str, set[str]] = defaultdict(set)
    for one in experiments:
        for name, value in one.run.params.items():
            if name not in _AXES and not _WITHOUT_EFFECT.fullmatch(name):
                values[name].add(canonical(value))
    return sorted(name for name, found in values.items() if len(found) > 1)


def _comparable(family: Collection[Experiment]) -> Mapping[Rest, list[Experiment]]:
    """Group experiments by every parameter that differs between them, and by their questions."""
    names = differing(family)
    groups: dict[Rest, list[Experiment]] = defaultdict(list)
    for one in family:
        params = one.run.params
        rest = tuple((name, canonical(params[name])) for name in names if name in params)
        groups[rest].append(one)
    # Questions can differ although no parameter does (code, raw data).
    split: dict[Rest, list[Experiment]] = defaultdict(list)
    for rest, members in groups.items():
        several = len({one.run.files.get(QUESTIONS, "") for one in members}) > 1
        for one in members:
            mark = (("questions", one.run.files.get(QUESTIONS, "")[:7]),) if several else ()
            split[rest + mark].append(one)
    return split
