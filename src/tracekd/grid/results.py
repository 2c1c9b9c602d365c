"""How far a submitted grid is, and its results: from launcher, tasks' records and remote."""

import tempfile
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from ruamel.yaml import YAML

from tracekd.errors import TracekdError
from tracekd.files import read_json
from tracekd.grid.baseline import experiment_refs
from tracekd.grid.folder import GridFolder, read_tail
from tracekd.grid.launchers import GridTask, TaskState, check_launcher, log_path, make_launcher
from tracekd.grid.work import make_checkout, stage_environment
from tracekd.repository import cached, dvc, file_md5, find_cache, git


def status(grid: GridFolder) -> list[tuple[GridTask, TaskState]]:
    """Return the state of every task of a grid."""
    there = experiment_refs(grid.root, grid.settings.git_remote)
    known = grid.states()
    submitted = {index for indices in grid.jobs().values() for index in indices}
    return [
        (task, TaskState("done"))
        if task.name in there
        else (task, _state(grid, task, known.get(task.name), task.index in submitted))
        for task in grid.tasks
    ]


def _state(grid: GridFolder, task: GridTask, known: TaskState | None, submitted: bool) -> TaskState:
    """Return the state of a task without a result."""
    tail, record = read_tail(log_path(grid.path, task)), grid.record(task)
    if known is not None and known.phase != "gone":
        notes = [known.note]
        if known.phase == "running":
            notes += [tail.progress, record.message if record else ""]
        return TaskState(known.phase, ", ".join(filter(None, notes)))
    if record is not None and record.state == "stopped":
        return TaskState("stopped", record.message)
    if record is not None and record.state == "failed":
        return TaskState("failed", record.message, tail.lines)
    if record is not None and not submitted:
        return TaskState("running", f"{record.host}, {tail.progress}")
    if submitted:
        how = known.note if known else "killed, cancelled, or its machine was lost"
        return TaskState("failed", f"ended without a result: {how}", tail.lines)
    return TaskState("not submitted")


def describe(folder: Path | None) -> str:
    """Return a grid's states as text: a line for each task that is not done, then counts."""
    states = status(_chosen(folder))
    lines = []
    for task, state in states:
        if state.phase != "done":
            lines.append(f"{state.phase:8}  {task.name}  {state.note}".rstrip())
            lines += [f"          | {line}" for line in state.log]
    counts = Counter(state.phase for _, state in states)
    total = ", ".join(f"{count} {phase}" for phase, count in counts.items())
    return "\n".join([*lines, f"{len(states)} experiments: {total}"])


def retry(folder: Path | None) -> str:
    """Start what is neither done nor on its way; return what was started, for the reader."""
    grid = _chosen(folder)
    on_way = ("done", "running", "waiting")
    again = [task for task, state in status(grid) if state.phase not in on_way]
    if not again:
        return "nothing to retry: every experiment is done or on its way"
    check_launcher(grid.settings, (task.resources for task in again))
    return grid.launch(again)


def cancel(folder: Path | None) -> str:
    """End all tasks that wait or run, the latter with a checkpoint; return their number as text."""
    grid = _chosen(folder)
    states = grid.states()
    for job in grid.jobs():
        if launcher := make_launcher(grid.settings):
            launcher.cancel(grid.path, job)
    for task in grid.tasks:
        if (state := states.get(task.name)) and state.phase == "waiting":
            grid.note(task, "stopped", "cancelled before it ran")
    count = sum(state.phase != "gone" for state in states.values())
    return f"{count} experiments cancelled; `retry` starts them again"


def collect(folder: Path | None) -> str:
    """Fetch the experiments of a grid that are done, with their data; return a report.

    Raises:
        TracekdError: naming the outs in dvc.lock that are then not whole in the cache.
    """
    grid = _chosen(folder)
    root, remote = grid.root, grid.settings.git_remote
    there, cache = experiment_refs(root, remote), find_cache(root)
    refs = {task.name: there[task.name] for task in grid.tasks if task.name in there}
    if refs:
        git(root, "fetch", "--quiet", remote, *(f"{ref}:{ref}" for ref in refs.values()))
    lacking = {name: ref for name, ref in refs.items() if _missing_outs(root, cache, ref)}
    reasons = _fetch(grid, lacking.values())
    faults = {name: _missing_outs(root, cache, ref) for name, ref in lacking.items()}
    faults = {name: missing for name, missing in faults.items() if missing}
    reasons += [f"{name}: its data is missing: {', '.join(outs)}" for name, outs in faults.items()]
    report = f"{len(refs) - len(faults)} of {len(grid.tasks)} experiments are here, data verified"
    if faults:
        raise TracekdError("\n".join([report, *reasons]))
    return report


def _fetch(grid: GridFolder, refs: Collection[str]) -> list[str]:
    """Fetch the data of experiments into the cache; return what went wrong.

    In a checkout of each: `dvc exp pull` says "No experiments to pull" of a ref that is there, with
    or without its data, and looks for a remote whose address is relative in the wrong place.
    """
    if not refs:
        return []
    faults: list[str] = []
    where = ["--remote", grid.settings.dvc_remote] if grid.settings.dvc_remote else []
    with tempfile.TemporaryDirectory(prefix="tracekd-") as folder:
        clone = Path(folder, "data/checkout")
        make_checkout(grid, clone, {})
        for ref in refs:
            commit = git(grid.root, "rev-parse", ref).strip()
            git(clone, "checkout", "--quiet", "--force", commit)
            try:
                dvc(clone, "fetch", *where, environment=stage_environment(grid, clone))
            except TracekdError as error:
                faults.append(str(error))
    return faults


def _missing_outs(root: Path, cache: Path, ref: str) -> list[str]:
    """Return the outs of an experiment that are not whole in the cache, by its dvc.lock."""
    lock = YAML(typ="safe").load(git(root, "show", f"{ref}:./dvc.lock"))
    outs = [out for stage in lock["stages"].values() for out in stage.get("outs", ())]
    kept = [out for out in outs if out["path"] != "metrics/metrics.json"]  # that is in git
    return [out["path"] for out in kept if not _verified(cache, out["md5"])]


def _verified(cache: Path, md5: str) -> bool:
    """Return whether the cache has an out, of a folder all files, with the content of its hash.

    What has other content is removed, as DVC does, so that it can be fetched again.
    """
    file, bare = cached(cache, md5), md5.removesuffix(".dir")
    if not file.is_file():
        return False
    if file_md5(file) != bare:
        file.unlink()
        return False
    parts = [] if bare == md5 else read_json(file)
    found = [_verified(cache, part["md5"]) for part in parts]  # all of them, also after a bad one
    return all(found)


def _chosen(folder: Path | None) -> GridFolder:
    """Return the grid of a folder, or the one submitted last."""
    if folder is not None:
        return GridFolder.read(folder)
    grids = GridFolder.all(Path.cwd())
    if not grids:
        raise TracekdError("no grid was submitted here; run `python stages/grid.py submit`")
    return grids[0]
