"""What runs the tasks of a grid: the interface of a launcher, and the choice of one.

Every launcher runs one command for a task, in any folder, with the user's own environment:

    PYTHON ROOT/stages/grid.py work FOLDER INDEX

FOLDER is `.grid/<digest>`, on a file system that all machines share. The command appends its output
to `log_path`, ends with status 0 if its result is published and with 1 if it failed. SIGUSR1 asks
it to keep a checkpoint, to have itself started again (`requeue`) and to end; SIGTERM is the same
without `requeue`.
"""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from tracekd.grid.settings import GridSettings, Resources


@dataclass(frozen=True)
class GridTask:
    """One experiment to run.

    Attributes:
        index: its number in the folder's tasks.json, the same in every submission of the grid.
        name: of the experiment.
        values: the parameters that the grid sets, by dotted key.
    """

    index: int
    name: str
    resources: Resources
    values: Mapping[str, Any] = field(default_factory=dict, hash=False)


class TaskState(NamedTuple):
    """What a launcher knows of a task.

    Attributes:
        phase: `gone` is a task that ended, however, or was never there.
        note: the machine it runs on, why it waits or how it ended; may be empty.
    """

    phase: Literal["waiting", "running", "gone"]
    note: str = ""


class Launcher(Protocol):
    """Runs tasks somewhere."""

    def check(self, resources: Sequence[Resources]) -> None:
        """Raise TracekdError if nothing could be run: before anything is submitted."""

    def submit(
        self, root: Path, folder: Path, tasks: Sequence[GridTask]
    ) -> Mapping[str, list[int]]:
        """Start tasks, in one job or several; return each job's name and the indices in it.

        Does not wait for them.
        """

    def states(
        self, folder: Path, jobs: Mapping[str, Sequence[GridTask]]
    ) -> Mapping[int, TaskState]:
        """Return the state of the tasks in these jobs, by index; tasks that are gone may lack."""

    def cancel(self, folder: Path, job: str) -> None:
        """End all tasks of a job, waiting or running, the latter with SIGTERM."""

    def requeue(self) -> bool:
        """Inside a task: have it started again; return whether the launcher can."""


def make_launcher(settings: GridSettings) -> Launcher | None:
    """Return the launcher that the settings name; None if the user starts tasks."""
    if settings.launcher == "slurm":
        from tracekd.grid.slurm import SlurmLauncher

        return SlurmLauncher(settings.slurm)
    if settings.launcher == "none":
        return None
    from tracekd.grid.local import LocalLauncher

    return LocalLauncher(settings.local)


def check_launcher(settings: GridSettings, resources: Iterable[Resources]) -> None:
    """Raise TracekdError if the launcher could not run tasks with these resources."""
    if launcher := make_launcher(settings):
        launcher.check(list(dict.fromkeys(resources)))


def work_command(root: Path, folder: Path) -> list[str]:
    """Return the command that runs a task, without the task's index, which is its last word."""
    return [sys.executable, str(root / "stages/grid.py"), "work", str(folder)]


def log_path(folder: Path, task: GridTask) -> Path:
    """Return the file that a task's output is appended to."""
    return folder / "logs" / f"{task.name}.log"
