"""What experiments were made on: device, number format and backend, as their run cards say.

The same settings need not give the same scores elsewhere: `infer.backend: auto` is vLLM on one
machine and transformers on another, and what one device computes in bf16 another does in fp32.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tracekd.comparison.experiments import Experiment, cached_file
from tracekd.comparison.grid import Cells, Setting

#: Name of a fact -> where it stands under `made_from` in a stage's run card. Threads are left out:
#: they change the order of sums and so single answers, but favour no run.
_FACTS = {
    "backend": ("infer", "backend"),
    "device": ("machine", "device"),
    "device_name": ("machine", "device_name"),
    "dtype": ("machine", "dtype"),
    "compiled_passes": ("machine", "compiled_passes"),
}
_STAGES = ("train", "infer")
#: (stage, name of a fact) -> its value.
Facts = Mapping[tuple[str, str], str]


def read_cards(experiments: Iterable[Experiment], cache: Path) -> dict[str, Facts]:
    """Return MD5 of a run card -> what it says; one that is not in the cache is left out.

    Args:
        experiments: whose cards to read.
        cache: the folder of DVC's cache.
    """
    cards = {one.run.card for one in experiments if one.run.card}
    found = {card: _read(cached_file(cache, card)) for card in cards}
    return {card: facts for card, facts in found.items() if facts}


def other_machines(
    settings: Mapping[Setting, Cells], cards: Mapping[str, Facts]
) -> dict[str, dict[str, list[str]]]:
    """Return, for each setting made on several machines, what they are and what was made on each.

    Only what differs within the setting is told; an experiment without a card is not.

    Args:
        settings: the experiments that are compared.
        cards: see `read_cards`.
    """
    found = {}
    for setting, cells in settings.items():
        made = [(one.name, cards[one.run.card]) for one in cells.values() if one.run.card in cards]
        if differing := _differing(facts for _, facts in made):
            groups: dict[str, list[str]] = defaultdict(list)
            for name, facts in made:
                groups[_describe(facts, differing)].append(name)
            found[setting.label] = dict(groups)
    return found


def _read(path: Path) -> Facts:
    """Return the facts of a run card; none if it is not there or not a card."""
    try:
        content: Any = json.loads(path.read_bytes())
        made_from = {stage: content[stage]["made_from"] for stage in _STAGES}
        return {
            (stage, name): str(made_from[stage][section][key])
            for stage in _STAGES
            for name, (section, key) in _FACTS.items()
            if key in made_from[stage].get(section, {})
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _differing(made: Iterable[Facts]) -> list[tuple[str, str]]:
    """Return the facts that have several values, in the order of the cards."""
    values: dict[tuple[str, str], set[str]] = defaultdict(set)
    for facts in made:
        for fact, value in facts.items():
            values[fact].add(value)
    return [fact for fact, seen in values.items() if len(seen) > 1]


def _describe(facts: Facts, differing: Iterable[tuple[str, str]]) -> str:
    told: dict[str, list[str]] = defaultdict(list)
    for stage, name in differing:
        told[stage].append(f"{name} {facts.get((stage, name), 'not noted')}")
    return "; ".join(f"{stage} on {', '.join(parts)}" for stage, parts in told.items())
