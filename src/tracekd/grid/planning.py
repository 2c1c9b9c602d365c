"""What a grid would run: which cells are there or on their way, and how long the others take."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean

from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import CARD, Run, read_lock
from tracekd.comparison.store import find_store
from tracekd.errors import TracekdError
from tracekd.grid.baseline import experiment_refs
from tracekd.grid.cells import GridCell, read_cells
from tracekd.grid.folder import GridFolder
from tracekd.grid.settings import load_grid
from tracekd.repository import git

#: Run cards that are read for one model and dataset: reading those of all takes seconds.
_CARDS = 3
THERE, ON_WAY, TO_RUN = "there", "on its way", "to run"


def plan(
    root: Path, cells: Sequence[GridCell], there: Collection[str]
) -> list[tuple[GridCell, str]]:
    """Return each cell with what is to be done for it, given the names of finished experiments.

    A cell is on its way if it waits or runs in any submitted grid.
    """
    known = chain.from_iterable(grid.states().items() for grid in GridFolder.all(root))
    on_way = {name for name, state in known if state.phase != "gone"}
    states = dict.fromkeys(on_way, ON_WAY) | dict.fromkeys(there, THERE)
    return [(cell, states.get(cell.name, TO_RUN)) for cell in cells]


def describe(file: Path) -> str:
    """Return the plan of grid.yaml as text: a line for each cell, then counts and hours."""
    root, settings = Path.cwd(), load_grid(file)
    cells = read_cells(root, settings, str(file))
    there, warnings = experiment_refs(root), []
    try:
        there |= experiment_refs(root, settings.git_remote)
    except TracekdError as error:
        warnings = [f"WARNING: experiments on the remote are unknown: {error}"]
    planned = plan(root, cells, there)
    lines = [f"{state:10}  {cell.name}" for cell, state in planned]
    states = [state for _, state in planned]
    counts = ", ".join(f"{states.count(state)} {state}" for state in (THERE, ON_WAY, TO_RUN))
    lines.append(f"{len(cells)} cells: {counts}")
    if missing := [cell for cell, state in planned if state == TO_RUN]:
        lines.append(f"to run: {_estimate(root, missing)}")
    return "\n".join(lines + warnings)


def _estimate(root: Path, missing: Iterable[GridCell]) -> str:
    """Return the hours that cells take one after the other, from run cards of like experiments."""
    seconds = run_seconds(root)
    found = [seconds.get((cell.params.model, cell.params.dataset)) for cell in missing]
    known = [fmean(like) for like in found if like]
    if not known:
        return "hours unknown, since no experiment with model and dataset has a run card here"
    rest = len(found) - len(known)
    more = f", and {rest} cells of models or datasets without a run card here" if rest else ""
    return f"about {sum(known) / 3600:.1f} hours one after the other{more}"


def run_seconds(root: Path) -> Mapping[tuple[str, str], Sequence[float]]:
    """Return the seconds of some finished runs, by model and dataset.

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
        if isinstance(run, Run) and (card := store.json(Experiment(commit, 0, run), CARD)):
            spent = sum(stage.get("seconds", 0.0) for stage in card.values())
            found[run.model, run.dataset].append(spent)
    return found
