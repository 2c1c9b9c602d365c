"""What a grid would run: which cells are there, which are on their way, and for how long the rest.

Nothing is started per cell: the refs are listed once, here and on the remote.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import CARD, Run, read_lock
from tracekd.comparison.store import find_store
from tracekd.errors import TracekdError
from tracekd.grid.baseline import experiment_refs
from tracekd.grid.cells import GridCell, read_cells
from tracekd.grid.folder import GridFolder
from tracekd.grid.settings import GridSettings, load_grid
from tracekd.repository import git

#: Run cards that are read for one model and dataset.
_CARDS = 3


class GridPlan(NamedTuple):
    """The cells of a grid by what is to be done for them.

    Attributes:
        there: names of the experiments on the remote or here.
        on_way: names of those that wait or run, of any submitted grid.
        unknown: why the remote could not be asked; "" if it could.
    """

    root: Path
    settings: GridSettings
    cells: Sequence[GridCell]
    there: Collection[str]
    on_way: Collection[str]
    unknown: str

    @property
    def missing(self) -> list[GridCell]:
        """The cells to run."""
        known = {*self.there, *self.on_way}
        return [cell for cell in self.cells if cell.name not in known]


def plan(file: Path) -> GridPlan:
    """Compare the cells of grid.yaml with what is there.

    Raises:
        TracekdError: if grid.yaml or one of its cells is wrong.
    """
    root, settings = Path.cwd(), load_grid(file)
    cells = read_cells(root, settings, str(file))
    unknown, there = "", experiment_refs(root)
    try:
        there |= experiment_refs(root, settings.git_remote)
    except TracekdError as error:
        unknown = str(error)
    states = chain.from_iterable(grid.states().items() for grid in GridFolder.all(root))
    on_way = {name for name, state in states if state.phase != "gone"} - there.keys()
    return GridPlan(root, settings, cells, there, on_way, unknown)


def describe(file: Path) -> str:
    """Return the plan of grid.yaml as text: a line for each cell, then counts and hours."""
    found = plan(file)
    marks = dict.fromkeys(found.on_way, "on its way") | dict.fromkeys(found.there, "there")
    kinds = [marks.get(cell.name, "to run") for cell in found.cells]
    lines = [f"{kind:10}  {cell.name}" for kind, cell in zip(kinds, found.cells, strict=True)]
    counts = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("there", "on its way", "to run"))
    lines.append(f"{len(kinds)} cells: {counts}")
    if missing := found.missing:
        lines.append(f"to run: {_estimate(found.root, missing)}")
    if found.unknown:
        lines.append(f"WARNING: experiments on the remote are unknown: {found.unknown}")
    return "\n".join(lines)


def _estimate(root: Path, missing: Iterable[GridCell]) -> str:
    """Return the hours that cells take one after the other, from run cards of like experiments."""
    seconds = run_seconds(root)
    pairs = [(cell.params.model, cell.params.dataset) for cell in missing]
    found = [seconds.get(pair) or seconds.get((pair[0], "")) for pair in pairs]
    known = [fmean(like) for like in found if like]
    if not known:
        return "hours unknown, since no experiment with these models has a run card here"
    rest = len(found) - len(known)
    more = f", and {rest} cells of models without a run card here" if rest else ""
    return f"about {sum(known) / 3600:.1f} hours one after the other{more}"


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
        chosen[kind] += [commit] if len(chosen[kind]) < _CARDS else []
    store = find_store(root)
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for commit in ["HEAD", *chain.from_iterable(chosen.values())]:
        try:
            run = read_lock(git(root, "show", f"{commit}:./dvc.lock"))
        except TracekdError:  # no dvc.lock
            continue
        card = store.json(Experiment(commit, 0, run), CARD) if isinstance(run, Run) else {}
        if isinstance(run, Run) and card:
            spent = sum(stage.get("seconds", 0.0) for stage in card.values())
            found[run.model, run.dataset].append(spent)
            found[run.model, ""].append(spent)
    return found
