"""grid.yaml -> its cells: settings of one experiment each, checked, with the experiment's name."""

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from tracekd import config
from tracekd.config.params import Params
from tracekd.config.reading import parse_settings, read_yaml
from tracekd.errors import TracekdError, nearest
from tracekd.grid.repository import code_hashes
from tracekd.grid.settings import GridSettings, Resources
from tracekd.progress import digest
from tracekd.traces.regimes import regime

#: More is a mistake in an axis.
_MOST = 20_000
_SHOWN = 10


@dataclass(frozen=True)
class GridCell:
    """One experiment of a grid.

    Attributes:
        values: the parameters that the grid sets, by dotted key.
        name: of the experiment: the same for the same settings and code, in any grid.
    """

    name: str
    values: Mapping[str, Any]
    params: Params
    resources: Resources


def read_cells(root: Path, grid: GridSettings, where: str) -> list[GridCell]:
    """Return the cells of a grid in the order of its axes, each once.

    The rest of their settings are those of params.yaml in `root`; `where` names grid.yaml.

    Raises:
        TracekdError: naming up to ten cells that cannot be run, each with the reason.
    """
    base = read_yaml(root / "params.yaml")
    code = digest(code_hashes(root))
    entry = _entries(root)
    cells: dict[str, GridCell] = {}
    faults: list[str] = []
    for values in _combinations(grid, base, where):
        try:
            params = parse_settings(Params, _with_values(base, values), where)
            entries = _chosen(params, entry)
        except TracekdError as error:
            faults.append(f"{_label(values)}: {error}")
            continue
        content = [params.model_dump(mode="json"), entries, code]
        dose = f"-{params.corruption:g}" if params.trace_mode == "mixed" else ""
        readable = f"{params.model}-{params.dataset}-{params.trace_mode}{dose}-{params.seed}"
        name = f"{readable}-{digest(content)[:10]}"
        resources = grid.resources.get(params.model) or grid.resources.get("default", Resources())
        cells.setdefault(name, GridCell(name, values, params, resources))
    if faults:
        more = f"\nand {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        raise TracekdError("\n".join(faults[:_SHOWN]) + more + f"\n({where}: exclude, or axes)")
    for name in grid.resources:
        if name != "default":
            entry("model", name)
    return list(cells.values())


def _combinations(
    grid: GridSettings, base: Mapping[str, Any], where: str
) -> Iterator[dict[str, Any]]:
    """Yield the values of each cell that is not excluded."""
    parts = grid.axes if isinstance(grid.axes, list) else [grid.axes]
    used = {key for part in parts for key in part}
    count = 0
    for part in parts:
        axes = {key: _values(value) for key, value in part.items()}
        for key, options in axes.items():
            _require_param(base, key, f"{where}: axes")
            if not options:
                raise TracekdError(f"{where}: axes: {key}: has no value")
        for combination in itertools.product(*axes.values()):
            values = dict(zip(axes, combination, strict=True))
            if any(_matches(values, excluded) for excluded in grid.exclude):
                continue
            count += 1
            if count > _MOST:
                raise TracekdError(f"{where}: axes: more than {_MOST} cells")
            yield values
    for excluded in grid.exclude:
        for key in excluded:
            if key not in used:
                raise TracekdError(f"{where}: exclude: {key} is no axis; {nearest(key, used)}")
    if not count:
        raise TracekdError(f"{where}: no cell: axes is empty, or all are excluded")


def _values(value: Any) -> list[Any]:
    """Return the values of an axis; "0..3" stands for 0, 1, 2, 3, alone or in a list."""
    found: list[Any] = []
    for one in value if isinstance(value, list) else [value]:
        match = re.fullmatch(r"(\d+)\.\.(\d+)", one) if isinstance(one, str) else None
        found += range(int(match[1]), int(match[2]) + 1)[: _MOST + 1] if match else [one]
    return found


def _matches(values: Mapping[str, Any], excluded: Mapping[str, Any]) -> bool:
    return bool(excluded) and all(
        key in values and values[key] in _values(wanted) for key, wanted in excluded.items()
    )


def _require_param(base: Mapping[str, Any], key: str, where: str) -> None:
    """Raise unless `key` is a parameter, of params.yaml or with a default."""
    place: Any = base
    model: Any = Params
    prefix = ""
    for part in key.split("."):
        fields = getattr(model, "model_fields", {})
        known = {*fields, *(place if isinstance(place, Mapping) else ())}
        if part not in known:
            names = (f"{prefix}{name}" for name in known)
            raise TracekdError(f"{where}: no parameter {key!r}; {nearest(key, names)}")
        place = place.get(part) if isinstance(place, Mapping) else None
        model = fields[part].annotation if part in fields else None
        prefix += f"{part}."
    if isinstance(model, type) and issubclass(model, BaseModel):
        raise TracekdError(f"{where}: {key} has keys of its own; name one: {key}.KEY")


def _with_values(base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """Return params.yaml with values set by dotted key; `base` is left as it is."""
    content = dict(base)
    for key, value in values.items():
        place = content
        *above, last = key.split(".")
        for part in above:
            place[part] = dict(place.get(part) or {})
            place = place[part]
        place[last] = value
    return content


def _entries(root: Path) -> Callable[[str, str], Any]:
    """Return a function that reads an entry (kind, name) of a settings file once."""

    @cache
    def entry(kind: str, name: str) -> Any:
        path = root / f"{kind}s.yaml"
        if kind == "model":
            return config.load_model(path, name)
        if kind == "dataset":
            return config.load_dataset(path, name)
        return config.load_teacher(path, name)

    return entry


def _chosen(params: Params, entry: Callable[[str, str], Any]) -> list[Any]:
    """Return the entries that an experiment uses, as JSON.

    Raises:
        TracekdError: if there is no such entry or regime, or no teacher for the regime.
    """
    teacher = entry("teacher", params.teacher.name)
    chosen = [entry("model", params.model), entry("dataset", params.dataset), teacher]
    if teacher.model is not None:
        chosen.append(entry("model", teacher.model))
    kind = regime(params.trace_mode, "trace_mode").teacher
    asked = teacher.model is not None or teacher.endpoint is not None
    if kind is not None and kind not in teacher.prompts and (asked or teacher.path is None):
        raise TracekdError(
            f"trace_mode: {params.trace_mode} needs a teacher that writes a {kind}; teacher.name: "
            f"{teacher.name} does not (teachers.yaml)"
        )
    if params.teacher.match and not asked and teacher.path is None:
        raise TracekdError(f"teacher.match: true needs a teacher; teacher.name: {teacher.name}")
    return [spec.model_dump(mode="json") for spec in chosen]


def _label(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key}={value}" for key, value in values.items())
