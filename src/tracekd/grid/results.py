"""How far a submitted grid is, and its results: from launcher, tasks' records and remote."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ruamel.yaml import YAML

from tracekd.comparison.experiments import find_cache
from tracekd.errors import TracekdError
from tracekd.files import read_json
from tracekd.grid.folder import GridFolder, LogTail
from tracekd.grid.launchers import GridTask, log_path
from tracekd.grid.repository import dvc, experiment_refs, git

STATES = ("done", "running", "waiting", "stopped", "failed", "not submitted")


@dataclass(frozen=True)
class TaskStatus:
    """Where a task is.

    Attributes:
        state: one of `STATES`.
        note: stage and progress, or what went wrong.
        log: its last lines, if it failed.
    """

    task: GridTask
    state: str
    note: str = ""
    log: Sequence[str] = ()


def chosen(root: Path, folder: Path | None) -> GridFolder:
    """Return the grid of a folder, or the one submitted last in a checkout.

    Raises:
        TracekdError: if there is none.
    """
    if folder is not None:
        return GridFolder.read(folder)
    grids = GridFolder.all(root)
    if not grids:
        raise TracekdError("no grid was submitted here; run `python stages/grid.py submit`")
    return grids[0]


def status(grid: GridFolder) -> list[TaskStatus]:
    """Return the state of every task of a grid."""
    there = experiment_refs(grid.root, grid.settings.git_remote)
    in_flight = grid.in_flight()
    submitted = {task.index for tasks in grid.jobs().values() for task in tasks}
    found = []
    for task in grid.tasks:
        if task.name in there:
            found.append(TaskStatus(task, "done"))
            continue
        tail, record = LogTail.read(log_path(grid.path, task)), grid.record(task)
        if state := in_flight.get(task.name):
            where = [state.note, tail.stage, tail.progress, record.message if record else ""]
            running = state.phase == "running"
            notes = where if running else where[:1]
            found.append(TaskStatus(task, state.phase, ", ".join(filter(None, notes))))
        elif record is not None and record.state == "stopped":
            found.append(TaskStatus(task, "stopped", record.message))
        elif task.index in submitted:
            reason = "it ended without a result: killed, or its machine was lost"
            if record is not None and record.state == "failed":
                reason = record.message
            found.append(TaskStatus(task, "failed", reason, tail.lines))
        else:
            found.append(TaskStatus(task, "not submitted"))
    return found


def describe(found: Iterable[TaskStatus]) -> str:
    """Return the states as text: a line for each task that is not done, then their counts."""
    found, lines = list(found), []
    for one in found:
        if one.state != "done":
            lines.append(f"{one.state:8}  {one.task.name}  {one.note}".rstrip())
            lines += [f"          | {line}" for line in one.log]
    counts = {state: sum(one.state == state for one in found) for state in STATES}
    total = ", ".join(f"{count} {state}" for state, count in counts.items() if count)
    return "\n".join([*lines, f"{len(found)} experiments: {total}"])


def retry(grid: GridFolder) -> str:
    """Start what is neither done nor on its way; return what was started, for the reader."""
    again = [one.task for one in status(grid) if one.state not in ("done", "running", "waiting")]
    if not again:
        return "nothing to retry: every experiment is done or on its way"
    grid.launcher.check(list({task.resources: None for task in again}))
    return f"{len(again)} experiments submitted again ({', '.join(grid.launch(again))})"


def cancel(grid: GridFolder) -> str:
    """End all tasks that wait or run, the latter with a checkpoint; return their number as text."""
    count = len(grid.in_flight())
    for job in grid.jobs():
        grid.launcher.cancel(grid.path, job)
    return f"{count} experiments cancelled; `retry` starts them again"


def collect(grid: GridFolder) -> str:
    """Fetch the experiments of a grid that are done, with their data; return a report.

    DVC itself says "No experiments to pull" of a ref that is there, with or without its data.

    Raises:
        TracekdError: naming the experiments of which an out, as dvc.lock lists it, is not in the
            cache afterwards, or not as large as listed.
    """
    remote = grid.settings.git_remote
    wanted = {task.name for task in grid.tasks}
    refs = {name: ref for name, ref in experiment_refs(grid.root, remote).items() if name in wanted}
    if refs:
        git(grid.root, "fetch", "--quiet", remote, *(f"{ref}:{ref}" for ref in refs.values()))
    cache = find_cache(grid.root)
    lacking = {name for name, ref in refs.items() if missing_outs(grid.root, cache, ref)}
    faults: dict[str, str] = {}
    if lacking:
        options = ["--remote", grid.settings.dvc_remote] if grid.settings.dvc_remote else []
        try:
            dvc(grid.root, "exp", "pull", *options, remote, *sorted(lacking))
        except TracekdError as error:
            print(f"warning: {error}")
        for name in lacking:
            if missing := missing_outs(grid.root, cache, refs[name]):
                more = f" and {len(missing) - 3} more" if len(missing) > 3 else ""
                faults[name] = f"data is missing: {', '.join(missing[:3])}{more}"
    report = f"{len(refs) - len(faults)} of {len(grid.tasks)} experiments are here, data verified"
    if faults:
        lines = [f"{name}: {fault}" for name, fault in sorted(faults.items())]
        raise TracekdError("\n".join([report, *lines]))
    return report


def missing_outs(root: Path, cache: Path, ref: str) -> list[str]:
    """Return the outs of an experiment that are not whole in the cache, from its dvc.lock."""
    lock = YAML(typ="safe").load(git(root, "show", f"{ref}:./dvc.lock"))
    outs = {out["path"]: out for stage in lock["stages"].values() for out in stage.get("outs", ())}
    return [path for path, out in outs.items() if not _is_whole(cache, out, root, ref)]


def _is_whole(cache: Path, out: Mapping[str, object], root: Path, ref: str) -> bool:
    md5 = str(out["md5"])
    file = _object(cache, md5)
    if out["path"] == "metrics/metrics.json":  # in git
        return bool(git(root, "ls-tree", ref, "--", str(out["path"])))
    if not md5.endswith(".dir"):
        return file.is_file() and file.stat().st_size == out["size"]
    if not file.is_file():
        return False
    parts = [_object(cache, part["md5"]) for part in read_json(file)]
    sizes = [part.stat().st_size for part in parts if part.is_file()]
    return len(sizes) == len(parts) and sum(sizes) == out["size"]


def _object(cache: Path, md5: str) -> Path:
    return cache / "files/md5" / md5[:2] / md5[2:]
