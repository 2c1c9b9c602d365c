"""Experiments sorted into cells: what may be compared with what.

The experiments of a cell share everything but regime and seeds: model, dataset, and every other
parameter that differs between this repository's experiments. All of them were tested on the same
questions, so their regimes can be compared question by question.
"""

import re
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import groupby

from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import QUESTIONS, canonical

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


def arrange(experiments: Iterable[Experiment]) -> dict[Cell, list[Experiment]]:
    """Return the experiments by cell, in the order of regimes and replicates.

    Experiments with the same regime and replicate are newest first.
    """
    families: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for one in experiments:
        families[one.run.dataset, one.run.model].append(one)
    cells: dict[Cell, list[Experiment]] = {}
    for (dataset, model), family in sorted(families.items()):
        for rest, members in sorted(_comparable(family).items()):
            members.sort(key=lambda one: (one.run.regime.place, one.run.replicate, -one.time))
            cells[Cell(dataset, model, rest)] = members
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


def differing(experiments: Iterable[Experiment]) -> list[str]:
    """Return the parameters that differ between experiments, but for regime, seeds and names."""
    params = (
        (name, canonical(value))
        for one in experiments
        for name, value in one.run.params.items()
        if name not in _AXES and not _WITHOUT_EFFECT.fullmatch(name)
    )
    return sorted(varying(params))


def varying(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    """Return name -> values of the names that have several."""
    found: dict[str, set[str]] = defaultdict(set)
    for name, value in pairs:
        found[name].add(value)
    return {name: seen for name, seen in found.items() if len(seen) > 1}


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
