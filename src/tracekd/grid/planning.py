"""What a grid would run: which cells are there, which are on their way, and for how long the rest.

Nothing is started per cell: the refs are listed once, here and on the remote.
"""

import json
import statistics
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

from tracekd.comparison.experiments import find_cache
from tracekd.comparison.locks import Run, read_lock
from tracekd.errors import TracekdError
from tracekd.grid.cells import GridCell, read_cells
from tracekd.grid.folder import GridFolder
from tracekd.grid.repository import experiment_refs, git
from tracekd.grid.settings import GridSettings, load_grid

#: Run cards that are read for one model and dataset.
_CARDS = 3


@dataclass(frozen=True)
class GridPlan:
    """The cells of a grid by what is to be done for them.

    Attributes:
        there: names of the experiments on the remote or here.
        in_flight: names of those that wait or run, of any submitted grid.
        note: why the remote could not be asked; "" if it could.
    """

    root: Path
    settings: GridSettings
    cells: Sequence[GridCell]
    there: Collection[str]
    in_flight: Collection[str]
    note: str

    @property
    def missing(self) -> list[GridCell]:
        """The cells to run."""
        known = {*self.there, *self.in_flight}
        return [cell for cell in self.cells if cell.name not in known]


def plan(root: Path, file: Path) -> GridPlan:
    """Compare the cells of grid.yaml with what is there.

    Raises:
        TracekdError: if grid.yaml or one of its cells is wrong.
    """
    settings = load_grid(file)
    cells = read_cells(root, settings, str(file))
    note, there = "", dict(experiment_refs(root))
    try:
        there |= experiment_refs(root, settings.git_remote)
    except TracekdError as error:
        note = str(error)
    in_flight = {name for grid in GridFolder.all(root) for name in grid.in_flight()}
    return GridPlan(root, settings, cells, there, in_flight - there.keys(), note)


def describe(found: GridPlan) -> str:
    """Return a plan as text: a line for each cell, then counts and hours."""
    marks = dict.fromkeys(found.in_flight, "on its way") | dict.fromkeys(found.there, "there")
    lines = [f"{marks.get(cell.name, 'to run'):10}  {cell.name}" for cell in found.cells]
    missing = found.missing
    on_way = sum(cell.name in found.in_flight for cell in found.cells)
    there = len(found.cells) - len(missing) - on_way
    lines += [
        f"{len(found.cells)} cells: {there} there, {on_way} on their way, {len(missing)} to run"
    ]
    if missing:
        lines.append(f"to run: {_estimate(found.root, missing)}")
    if found.note:
        lines.append(f"WARNING: experiments on the remote are unknown: {found.note}")
    return "\n".join(lines)


def _estimate(root: Path, missing: Iterable[GridCell]) -> str:
    """Return the hours that cells take one after the other, from run cards of like experiments."""
    seconds = run_seconds(root)
    total, unknown = 0.0, 0
    for cell in missing:
        like = seconds.get((cell.params.model, cell.params.dataset)) or seconds.get(
            (cell.params.model, "")
        )
        total += statistics.fmean(like) if like else 0
        unknown += not like
    if not total:
        return "hours unknown, since no experiment with these models has a run card here"
    rest = f", and {unknown} cells of models without a run card here" if unknown else ""
    return f"about {total / 3600:.1f} hours one after the other{rest}"


def run_seconds(root: Path) -> Mapping[tuple[str, str], Sequence[float]]:
    """Return the seconds of some finished runs, by model and dataset; dataset "" is any.

    Read are the newest experiments of each model and dataset that grids have named, and the run
    committed last.
    """
    chosen: dict[str, list[str]] = defaultdict(list)
    form = "--format=%(objectname) %(refname:lstrip=4)"
    for line in git(root, "for-each-ref", "--sort=-committerdate", form, "refs/exps").splitlines():
        commit, name = line.split(" ")
        kind = "-".join(name.split("-")[:2])
        if len(chosen[kind]) < _CARDS:
            chosen[kind].append(commit)
    cache, found = find_cache(root), defaultdict(list)
    for commit in ["HEAD", *chain.from_iterable(chosen.values())]:
        try:
            run = read_lock(git(root, "show", f"{commit}:./dvc.lock"))
        except TracekdError:  # no dvc.lock
            continue
        if isinstance(run, Run) and (spent := _seconds(cache, run)) is not None:
            found[run.model, run.dataset].append(spent)
            found[run.model, ""].append(spent)
    return found


def _seconds(cache: Path, run: Run) -> float | None:
    card = cache / "files/md5" / run.card[:2] / run.card[2:]
    if not run.card or not card.is_file():
        return None
    stages = json.loads(card.read_text(encoding="utf-8")).values()
    return float(sum(stage.get("seconds", 0.0) for stage in stages))
