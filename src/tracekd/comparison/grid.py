"""Experiments sorted into settings: what may be compared with what, and what has not been run.

A setting is everything but the trace regime and the seed: model, data set, and each other
parameter in which this repository's experiments differ. Within a setting all experiments answered
the same questions, so regimes can be compared question by question.
"""

import json
import re
import shlex
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from tracekd.comparison.experiments import Experiment, regime_order
from tracekd.comparison.locks import told

_AXES = ("model", "dataset", "trace_mode", "corruption", "seed")
#: Neither changes the scores: probes are asked beside the test questions, and what lies at a path
#: is pinned by the `sha256` beside it, which tells experiments apart like any other parameter.
_IDLE = re.compile(r"probes(\..*)?|(datasets|models)\.yaml:[^.]+\.path")
T = TypeVar("T")
_PLAIN = re.compile(r"[A-Za-z0-9_./-]+")


@dataclass(frozen=True, order=True)
class Setting:
    """What experiments share that differ in regime and seed only.

    Attributes:
        rest: (parameter, value as JSON) for each further one that differs among the experiments
            with this model and data set.
    """

    dataset: str
    model: str
    rest: tuple[tuple[str, str], ...] = ()

    @property
    def label(self) -> str:
        """The setting in one line."""
        return ", ".join(
            [f"{self.model} on {self.dataset}", *(f"{name} {value}" for name, value in self.rest)]
        )


Key = tuple[str, int]
#: (regime, seed) -> the experiment that counts.
Cells = dict[Key, Experiment]


@dataclass(frozen=True)
class Grid:
    """All experiments that count.

    Attributes:
        settings: by data set and model; the cells of each in the order of regimes and seeds.
        older: those with the same key as the one that counts, newest first.
    """

    settings: Mapping[Setting, Cells]
    older: Mapping[tuple[Setting, Key], Sequence[Experiment]]

    @property
    def superseded(self) -> dict[str, str]:
        """Each older experiment -> the one that counts in its place."""
        return {
            one.name: self.settings[setting][key].name
            for (setting, key), others in self.older.items()
            for one in others
        }

    @property
    def regimes(self) -> list[str]:
        """Every regime seen."""
        found = {regime for cells in self.settings.values() for regime, _ in cells}
        return sorted(found, key=regime_order)

    @property
    def seeds(self) -> list[int]:
        """Every seed seen."""
        return sorted({seed for cells in self.settings.values() for _, seed in cells})


def arrange(experiments: Iterable[Experiment]) -> Grid:
    """Return the experiments by setting, regime and seed; the newest one wins for each key."""
    families: dict[tuple[str, str], list[Experiment]] = defaultdict(list)
    for experiment in experiments:
        families[experiment.dataset, experiment.model].append(experiment)
    settings: dict[Setting, Cells] = {}
    older: dict[tuple[Setting, Key], list[Experiment]] = defaultdict(list)
    for (dataset, model), family in sorted(families.items()):
        for rest, members in sorted(_same_questions(_same_params(family)).items()):
            cells: Cells = {}
            setting = Setting(dataset, model, rest)
            for one in sorted(members, key=lambda one: -one.revision.time):
                key = (one.regime, one.seed)
                if cells.setdefault(key, one) is not one:
                    older[setting, key].append(one)
            ordered = sorted(cells, key=lambda key: (regime_order(key[0]), key[1]))
            settings[setting] = {key: cells[key] for key in ordered}
    return Grid(settings, dict(older))


def named_apart(settings: Mapping[Setting, T]) -> dict[Setting, T]:
    """Return `settings` with only those further parameters in which they differ themselves."""
    families: dict[tuple[str, str], list[dict[str, str]]] = defaultdict(list)
    for setting in settings:
        families[setting.dataset, setting.model].append(dict(setting.rest))
    named = {}
    for setting, value in settings.items():
        family = families[setting.dataset, setting.model]
        rest = tuple(
            (name, told)
            for name, told in setting.rest
            if any(other.get(name) != told for other in family)
        )
        named[Setting(setting.dataset, setting.model, rest)] = value
    return named


def not_paired(settings: Iterable[Setting]) -> list[str]:
    """Return why settings with the same model and data set were not compared with each other."""
    families: dict[tuple[str, str], list[Setting]] = defaultdict(list)
    for setting in settings:
        families[setting.dataset, setting.model].append(setting)
    lines = []
    for (dataset, model), members in families.items():
        names = sorted({name for setting in members for name, _ in setting.rest})
        for name in names:
            values = sorted({dict(setting.rest).get(name, "absent") for setting in members})
            if len(values) > 1:
                why = (
                    "they answered different questions"
                    if name in ("data_seed", "questions") or name.startswith("prepare.")
                    else "only regime and seed may differ"
                )
                lines.append(
                    f"{model} on {dataset}: {name} is {' / '.join(values)}; kept apart, as {why}"
                )
    return lines


def missing_commands(grid: Grid, current: Mapping[str, Any]) -> list[str]:
    """Return the commands that would run what the grid lacks.

    The grid: each regime and each seed seen anywhere, in every setting; and those models and data
    sets that were never run together, as params.yaml now stands.

    Args:
        grid: what there is.
        current: see `experiments.current_params`; only what differs from it is set.
    """
    commands: list[str] = []
    for cells in grid.settings.values():
        newest = max(cells.values(), key=lambda one: one.revision.time)
        lacking = [
            (regime, seed)
            for regime in grid.regimes
            for seed in grid.seeds
            if (regime, seed) not in cells
        ]
        commands += _commands(newest.run.params, lacking, current)
    models = sorted({setting.model for setting in grid.settings})
    datasets = sorted({setting.dataset for setting in grid.settings})
    run = {(setting.model, setting.dataset) for setting in grid.settings}
    everything = [(regime, seed) for regime in grid.regimes for seed in grid.seeds]
    for model in models:
        for dataset in datasets:
            if (model, dataset) not in run:
                params = {**current, "model": model, "dataset": dataset}
                commands += _commands(params, everything, current)
    return commands


def rerun_command(experiment: Experiment, current: Mapping[str, Any]) -> str:
    """Return the command that would run an experiment again."""
    return _commands(experiment.run.params, [(experiment.regime, experiment.seed)], current)[0]


def _same_params(family: Sequence[Experiment]) -> dict[tuple[tuple[str, str], ...], Any]:
    """Group by every parameter that differs within the family. One that is absent is unknown."""
    values: dict[str, set[str]] = defaultdict(set)
    for one in family:
        for name, value in one.run.params.items():
            if name not in _AXES and not _IDLE.fullmatch(name):
                values[name].add(told(value))
    differing = sorted(name for name, seen in values.items() if len(seen) > 1)
    groups: dict[tuple[tuple[str, str], ...], list[Experiment]] = defaultdict(list)
    for one in family:
        params = one.run.params
        rest = tuple((name, told(params[name])) for name in differing if name in params)
        groups[rest].append(one)
    return groups


def _same_questions(groups: Mapping[tuple[tuple[str, str], ...], Any]) -> dict[Any, Any]:
    """Split groups whose test questions differ although no parameter does (code, raw data)."""
    split: dict[Any, list[Experiment]] = defaultdict(list)
    for rest, members in groups.items():
        several = len({one.run.questions for one in members}) > 1
        for one in members:
            mark = (("questions", one.run.questions[:7]),) if several else ()
            split[rest + mark].append(one)
    return split


def _commands(
    params: Mapping[str, Any], cells: Sequence[tuple[str, int]], current: Mapping[str, Any]
) -> list[str]:
    """Return one command for each set of regimes that lack the same seeds."""
    seeds: dict[str, tuple[int, ...]] = defaultdict(tuple)
    for regime, seed in cells:
        seeds[regime] += (seed,)
    regimes: dict[tuple[tuple[int, ...], str], list[str]] = defaultdict(list)
    for regime, lacking in seeds.items():
        mode, _, dose = regime.partition(" ")
        regimes[lacking, dose].append(mode)
    commands = []
    for (lacking, dose), modes in regimes.items():
        wanted = {**params, "trace_mode": modes, "seed": list(lacking)}
        if dose:
            wanted["corruption"] = float(dose)
        commands.append(_command(wanted, current, dosed=bool(dose)))
    return commands


def _command(wanted: Mapping[str, Any], current: Mapping[str, Any], *, dosed: bool) -> str:
    parts, by_hand = ["dvc", "exp", "run", "--queue"], []
    # In the order of params.yaml; what it does not know is not of this version.
    for name, standing in current.items():
        value = wanted.get(name, standing)
        idle = _IDLE.fullmatch(name) or (name == "corruption" and not dosed)
        if idle or told(value) == told(standing):
            continue
        if name in ("trace_mode", "seed"):
            parts += ["-S", f"{name}={','.join(map(str, value))}"]
        elif (text := _override(value)) is not None:
            parts += ["-S", f"{name}={text}"]
        else:
            by_hand.append(name)
    command = shlex.join(parts)
    return f"{command}   # and set by hand: {', '.join(by_hand)}" if by_hand else command


def _override(value: Any) -> str | None:
    """Return a value as DVC's `-S` takes it; None where its grammar is not worth the risk."""
    if isinstance(value, list):
        items = [_override(item) for item in value]
        return None if None in items else f"[{','.join(map(str, items))}]"
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    return value if isinstance(value, str) and _PLAIN.fullmatch(value) else None
