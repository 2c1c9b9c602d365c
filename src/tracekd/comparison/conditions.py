"""What else differs between the experiments of a cell: their code, device, dtype and backend.

The same settings can give other scores elsewhere: `infer.backend: auto` is vLLM on one machine and
transformers on another, and what one device computes in bf16 another computes in fp32.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tracekd.comparison.experiments import Experiment
from tracekd.comparison.grid import Cell, distinguished
from tracekd.comparison.scores import cached_file

_SHOWN = 5
#: Facts in a stage's run card that can change scores, by their section of `made_from`. The number
#: of threads is not one: it changes single answers, but favours no run.
_FACTS = (
    ("infer", "backend"),
    ("machine", "device"),
    ("machine", "device_name"),
    ("machine", "dtype"),
)


def differences(used: Mapping[Cell, Iterable[Experiment]], cache: Path) -> list[str]:
    """Return one line for each cell and each difference between its experiments.

    Args:
        used: the experiments that are compared.
        cache: the folder of DVC's cache; run cards that are not in it are skipped.
    """
    lines = []
    for cell, experiments in distinguished(used).items():
        code = _values(pair for one in experiments for pair in one.run.code.items())
        if paths := sorted(path for path, seen in code.items() if len(seen) > 1):
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            lines.append(
                f"{cell.label}: experiments ran different versions of "
                f"{', '.join(paths[:_SHOWN])}{more}"
            )
        cards = {one.run.card for one in experiments if one.run.card}
        facts = _values(fact for card in cards for fact in _facts(cached_file(cache, card)))
        if parts := [f"{name} {' / '.join(sorted(v))}" for name, v in facts.items() if len(v) > 1]:
            lines.append(f"{cell.label}: experiments ran on different machines: {'; '.join(parts)}")
    return lines


def _values(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for name, value in pairs:
        found[name].add(value)
    return found


def _facts(card: Path) -> Iterator[tuple[str, str]]:
    if not card.is_file():
        return
    stages: dict[str, dict[str, Any]] = json.loads(card.read_bytes())
    for stage in ("train", "infer"):
        made_from = stages.get(stage, {}).get("made_from", {})
        for section, name in _FACTS:
            if name in made_from.get(section, {}):
                yield f"{stage} {name}", str(made_from[section][name])
