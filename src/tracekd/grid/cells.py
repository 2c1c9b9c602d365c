"""grid.yaml -> its cells: settings of one experiment each, checked, with the experiment's name."""

import itertools
import math
import re
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from tracekd import config
from tracekd.config.reading import parse_settings, read_yaml
from tracekd.errors import TracekdError, nearest
from tracekd.grid.baseline import code_hashes
from tracekd.grid.settings import GridSettings, Resources
from tracekd.progress import digest
from tracekd.traces.regimes import regime

#: More is a mistake in an axis.
_MOST = 20_000
#: Of an entry, by the settings file that it is in.
_READERS: dict[str, Callable[[Path, str], Any]] = {
    "model": config.load_model,
    "dataset": config.load_dataset,
    "teacher": config.load_teacher,
}


class GridCell(NamedTuple):
    """One experiment of a grid; its name is the same for the same settings and code, in any grid.

    `values` are the parameters that the grid sets, by dotted key.
    """

    name: str
    values: Mapping[str, Any]
    params: config.Params
    resources: Resources


def read_cells(root: Path, grid: GridSettings, where: str) -> list[GridCell]:
    """Return the cells of a grid in the order of its axes, each once.

    All other settings are those of params.yaml in `root`; `where` names grid.yaml.

    Raises:
        TracekdError: why a cell cannot be run.
    """
    base, code = read_yaml(root / "params.yaml"), code_hashes(root)
    entry = cache(lambda kind, name: _READERS[kind](root / f"{kind}s.yaml", name))
    for name in grid.resources.keys() - {"default"}:
        entry("model", name)
    cells: dict[str, GridCell] = {}
    for values in _combinations(grid, where):
        try:
            params = parse_settings(config.Params, set_values(base, values), where)
            content = [params.model_dump(mode="json"), _chosen(params, entry), code]
        except TracekdError as error:
            label = ", ".join(f"{key}={value}" for key, value in values.items())
            raise TracekdError(
                f"{error}\n  (cell {label})\nchange {where}: axes, or exclude such cells"
            ) from error
        dose = f"-{params.corruption:g}" if params.trace_mode == "mixed" else ""
        readable = f"{params.model}-{params.dataset}-{params.trace_mode}{dose}-{params.seed}"
        name = f"{readable}-{digest(content)[:10]}"
        resources = grid.resources.get(params.model) or grid.resources.get("default", Resources())
        cells.setdefault(name, GridCell(name, values, params, resources))
    return list(cells.values())


def set_values(tree: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of params.yaml's content with values set by dotted key."""
    content = dict(tree)
    for key, value in values.items():
        *above, last = key.split(".")
        place = content
        for part in above:
            below = place.get(part)
            place[part] = dict(below) if isinstance(below, Mapping) else {}
            place = place[part]
        place[last] = value
    return content


def _combinations(grid: GridSettings, where: str) -> list[dict[str, Any]]:
    """Return the values of each cell that is not excluded."""
    parts = grid.axes if isinstance(grid.axes, list) else [grid.axes]
    used = {key for part in parts for key in part}
    if unused := {key for excluded in grid.exclude for key in excluded} - used:
        key = min(unused)
        raise TracekdError(f"{where}: exclude: {key} is no axis; {nearest(key, used)}")
    options = [list(map(_options, part.values())) for part in parts]
    if sum(math.prod(map(len, one)) for one in options) > _MOST:
        raise TracekdError(f"{where}: axes: more than {_MOST} cells")
    every = [
        dict(zip(part, combination, strict=True))
        for part, one in zip(parts, options, strict=True)
        for combination in itertools.product(*one)
    ]
    kept = [one for one in every if not any(_matches(one, excluded) for excluded in grid.exclude)]
    if not kept:
        raise TracekdError(f"{where}: no cell: an axis has no value, or all are excluded")
    return kept


def _options(value: Any) -> list[Any]:
    """Return the values of an axis; "0..3" stands for 0, 1, 2, 3, alone or in a list."""
    found: list[Any] = []
    for one in value if isinstance(value, list) else [value]:
        match = re.fullmatch(r"(\d+)\.\.(\d+)", one) if isinstance(one, str) else None
        found += range(int(match[1]), int(match[2]) + 1)[: _MOST + 1] if match else [one]
    return found


def _matches(values: Mapping[str, Any], excluded: Mapping[str, Any]) -> bool:
    return all(key in values and values[key] in _options(one) for key, one in excluded.items())


def _chosen(params: config.Params, entry: Callable[[str, str], Any]) -> list[Any]:
    """Return the entries that an experiment uses, as JSON.

    Raises:
        TracekdError: if there is no such entry or regime, or no teacher for the regime.
    """
    teacher = entry("teacher", params.teacher.name)
    chosen = [entry("model", params.model), entry("dataset", params.dataset), teacher]
    if teacher.model is not None:
        chosen.append(entry("model", teacher.model))
    kind = regime(params.trace_mode, "trace_mode").teacher
    from_file = teacher.path is not None and teacher.model is None
    written = config.KINDS if from_file else tuple(teacher.prompts)
    if (kind and kind not in written) or (params.teacher.match and not written):
        raise TracekdError(
            f"trace_mode: {params.trace_mode}, teacher.match: {params.teacher.match} needs a "
            f"teacher that writes a {kind or 'trace'}; teacher.name: {teacher.name} does not"
        )
    return [spec.model_dump(mode="json") for spec in chosen]
