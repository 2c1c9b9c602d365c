"""What runs the tasks of a grid: what launchers have in common, and the choice of one.

Every launcher runs one command for a task, in any folder, with the user's own environment:

    PYTHON ROOT/stages/grid.py work FOLDER INDEX

FOLDER is `.grid/<digest>`, on a file system that all machines share. The command appends its output
to `log_path`, ends with status 0 if its result is published and with 1 if it failed. SIGUSR1 asks
it to keep a checkpoint, to have itself started again (`requeue`) and to end; SIGTERM is the same
without `requeue`.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from tracekd.grid.settings import GridSettings, Resources

if TYPE_CHECKING:
    from tracekd.grid.local import LocalLauncher
    from tracekd.grid.slurm import SlurmLauncher


@dataclass(frozen=True)
class GridTask:
    """One experiment to run; `index` is its place in the folder's tasks.json.

    `values` are the parameters that the grid sets, by dotted key.
    """

    index: int
    name: str
    resources: Resources
    values: Mapping[str, Any]


class TaskState(NamedTuple):
    """Where a task is.

    Attributes:
        phase: `gone` is a task that ended, however, as far as the launcher knows.
        note: machine and progress, why it waits, how it ended, or what went wrong.
        log: its last lines, if it failed.
    """

    phase: Literal["waiting", "running", "gone", "done", "stopped", "failed", "not submitted"]
    note: str = ""
    log: Sequence[str] = ()


def make_launcher(settings: GridSettings) -> "LocalLauncher | SlurmLauncher | None":
    """Return the launcher that the settings name; None if the user starts tasks."""
    if settings.launcher == "slurm":
        from tracekd.grid.slurm import SlurmLauncher

        return SlurmLauncher(settings.slurm)
    if settings.launcher == "none":
        return None
    from tracekd.grid.local import LocalLauncher

    return LocalLauncher()


def check_launcher(settings: GridSettings, resources: Iterable[Resources]) -> None:
    """Raise TracekdError if the launcher could not run tasks with these resources."""
    if launcher := make_launcher(settings):
        launcher.check(list(dict.fromkeys(resources)))


def work_command(root: Path, folder: Path) -> list[str]:
    """Return the command that runs a task, but for its last word, the task's index."""
    return [sys.executable, str(root / "stages/grid.py"), "work", str(folder)]


def log_path(folder: Path, task: GridTask) -> Path:
    """Return the file that a task's output is appended to."""
    return folder / "logs" / f"{task.name}.log"
