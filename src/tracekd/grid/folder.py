"""The folder of a submitted grid, `.grid/DIGEST`, which tasks on all machines share.

tasks.json         what to run: commit, settings, cells; a task is its index in the list
jobs.json          job of the launcher -> the indices submitted with it
config.local       of the tasks' checkouts: the shared cache, absolute addresses of remotes
state/NAME.json    what a task says of itself
logs/NAME.log      what its attempts printed, one after the other
"""

import os
import re
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from tracekd.config.reading import parse_settings
from tracekd.errors import TracekdError
from tracekd.files import read_json, write_json
from tracekd.grid.cells import GridCell
from tracekd.grid.launchers import GridTask, Launcher, TaskState, make_launcher
from tracekd.grid.settings import GridSettings, Resources
from tracekd.progress import digest

_HOME = ".grid"


@dataclass(frozen=True)
class TaskRecord:
    """What a task says of itself.

    Attributes:
        state: `stopped` is a task that has kept a checkpoint and ended.
        message: why it failed, or what it waits for.
        time: of the last change (Unix time).
    """

    state: Literal["running", "done", "failed", "stopped"]
    message: str = ""
    host: str = ""
    time: float = 0.0


@dataclass(frozen=True)
class GridFolder:
    """A submitted grid.

    Attributes:
        path: absolute, like `root`.
        root: the user's checkout.
        commit: that tasks run.
        values: of each task, the parameters to set, by dotted key.
    """

    path: Path
    root: Path
    commit: str
    settings: GridSettings
    tasks: Sequence[GridTask]
    values: Sequence[Mapping[str, Any]]

    @classmethod
    def create(
        cls, root: Path, commit: str, settings: GridSettings, cells: Sequence[GridCell]
    ) -> "GridFolder":
        """Write the folder of these cells; the same cells have the same folder and indices."""
        cells = sorted(cells, key=lambda cell: cell.name)
        path = root / _HOME / digest([cell.name for cell in cells])[:10]
        content = {
            "root": str(root),
            "commit": commit,
            "settings": settings.model_dump(mode="json"),
            "tasks": [
                {
                    "name": cell.name,
                    "values": cell.values,
                    "resources": cell.resources.model_dump(mode="json"),
                }
                for cell in cells
            ],
        }
        for name in ("state", "logs"):
            (path / name).mkdir(parents=True, exist_ok=True)
        write_json(path / "tasks.json", content)
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> "GridFolder":
        """Read a folder that `create` has written.

        Raises:
            TracekdError: if it is none.
        """
        file = path.resolve() / "tasks.json"
        if not file.is_file():
            raise TracekdError(f"{file}: no such file; submit a grid first, or name its folder")
        content = read_json(file)
        tasks = [
            GridTask(index, task["name"], Resources(**task["resources"]))
            for index, task in enumerate(content["tasks"])
        ]
        return cls(
            file.parent,
            Path(content["root"]),
            content["commit"],
            parse_settings(GridSettings, content["settings"], str(file)),
            tasks,
            [task["values"] for task in content["tasks"]],
        )

    @classmethod
    def all(cls, root: Path) -> list["GridFolder"]:
        """Return the submitted grids of a checkout, newest first."""
        found = (root / _HOME).glob("*/tasks.json")
        files = sorted(found, key=lambda file: -file.stat().st_mtime)
        return [cls.read(file.parent) for file in files]

    @cached_property
    def launcher(self) -> Launcher:
        """What runs the tasks."""
        return make_launcher(self.settings)

    def jobs(self) -> dict[str, list[GridTask]]:
        """Return the tasks of every job that was submitted."""
        file = self.path / "jobs.json"
        jobs = read_json(file) if file.is_file() else {}
        return {job: [self.tasks[index] for index in indices] for job, indices in jobs.items()}

    def launch(self, tasks: Sequence[GridTask]) -> list[str]:
        """Submit tasks; return the names of the jobs."""
        for task in tasks:
            (self.path / "state" / f"{task.name}.json").unlink(missing_ok=True)
        before = {job: [task.index for task in tasks] for job, tasks in self.jobs().items()}
        jobs = self.launcher.submit(self.root, self.path, tasks)
        write_json(self.path / "jobs.json", before | dict(jobs))
        return list(jobs)

    def in_flight(self) -> dict[str, TaskState]:
        """Return the tasks that wait or run, by name."""
        jobs = self.jobs()
        states = self.launcher.states(self.path, jobs) if jobs else {}
        return {
            self.tasks[index].name: state
            for index, state in states.items()
            if state.phase != "gone"
        }

    def record(self, task: GridTask) -> TaskRecord | None:
        """Return what a task last said; None if it never ran."""
        file = self.path / "state" / f"{task.name}.json"
        return TaskRecord(**read_json(file)) if file.is_file() else None

    def note(self, task: GridTask, state: Any, message: str = "") -> None:
        """Write what a task says of itself."""
        record = TaskRecord(state, message, socket.gethostname(), round(time.time(), 1))
        write_json(self.path / "state" / f"{task.name}.json", asdict(record))


@dataclass(frozen=True)
class LogTail:
    """The end of a task's log.

    Attributes:
        stage: the last that DVC started; "" before the first.
        progress: of that stage: steps done and left, as its progress bar has them.
        lines: the last few, without progress bars.
    """

    stage: str
    progress: str
    lines: list[str]

    @classmethod
    def read(cls, file: Path, count: int = 5, most: int = 1 << 16) -> "LogTail":
        """Read the end of a log; one that is not there is empty."""
        if not file.is_file():
            return cls("", "", [])
        with file.open("rb") as source:
            source.seek(max(0, source.seek(0, os.SEEK_END) - most))
            text = source.read().decode("utf-8", "replace")
        stage, _, after = text.rpartition("Running stage '")[2].partition("'")
        bars = re.findall(r"(\d+/\d+ \[[^\]<]*<[^\],]*)", after)
        lines = [line.rsplit("\r", 1)[-1].rstrip() for line in text.splitlines()]
        kept = [line for line in lines if line and not re.search(r"\d%\|", line)]
        return cls(stage if after else "", f"{bars[-1]}]" if bars else "", kept[-count:])
