"""The folder of a submitted grid, `.grid/DIGEST`, which tasks on all machines share.

tasks.json         what to run: commit, settings, tasks
jobs.json          job of the launcher -> the indices submitted with it
config.local       of the tasks' checkouts: the shared cache, absolute addresses of remotes
state/NAME.json    what a task says of itself
logs/NAME.log      what its attempts printed, one after the other
"""

import os
import re
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from tracekd.config.reading import parse_settings
from tracekd.errors import TracekdError
from tracekd.files import read_json, write_json
from tracekd.grid.cells import GridCell
from tracekd.grid.launchers import GridTask, TaskState, make_launcher, work_command
from tracekd.grid.settings import GridSettings, Resources
from tracekd.progress import digest

Recorded = Literal["running", "done", "failed", "stopped"]
#: Bytes of a log that are read, and lines that are shown.
_TAIL, _LINES = 1 << 16, 5


class TaskRecord(NamedTuple):
    """What a task says of itself; one that is `stopped` has kept a checkpoint and ended."""

    state: Recorded
    message: str
    host: str


@dataclass(frozen=True)
class GridFolder:
    """A submitted grid: its folder, the user's checkout, and the commit that tasks run."""

    path: Path
    root: Path
    commit: str
    settings: GridSettings
    tasks: Sequence[GridTask]

    @classmethod
    def create(
        cls, root: Path, commit: str, settings: GridSettings, cells: Sequence[GridCell]
    ) -> "GridFolder":
        """Write the folder of these cells; the same cells have the same folder and indices."""
        rows = [
            {"name": cell.name, "resources": cell.resources.model_dump(), "values": cell.values}
            for cell in cells
        ]
        path = root / ".grid" / digest([row["name"] for row in rows])[:10]
        for name in ("state", "logs"):
            (path / name).mkdir(parents=True, exist_ok=True)
        content = {"root": str(root), "commit": commit, "settings": settings.model_dump()}
        write_json(path / "tasks.json", content | {"tasks": rows})
        return cls.read(path)

    @classmethod
    def read(cls, path: Path) -> "GridFolder":
        """Read a folder that `create` has written.

        Raises:
            TracekdError: if it is none.
        """
        file = path.resolve() / "tasks.json"
        if not file.is_file():
            raise TracekdError(f"{file}: no such file; name the folder of a submitted grid")
        content = read_json(file)
        tasks = [
            GridTask(index, row["name"], Resources(**row["resources"]), row["values"])
            for index, row in enumerate(content["tasks"])
        ]
        settings = parse_settings(GridSettings, content["settings"], str(file))
        return cls(file.parent, Path(content["root"]), content["commit"], settings, tasks)

    @classmethod
    def all(cls, root: Path) -> list["GridFolder"]:
        """Return the submitted grids of a checkout, newest first."""
        files = (root / ".grid").glob("*/tasks.json")
        return [cls.read(f.parent) for f in sorted(files, key=lambda f: -f.stat().st_mtime)]

    def jobs(self) -> dict[str, list[int]]:
        """Return the indices of the tasks in every job that was submitted."""
        file = self.path / "jobs.json"
        jobs: dict[str, list[int]] = read_json(file) if file.is_file() else {}
        return jobs

    def launch(self, tasks: Sequence[GridTask]) -> str:
        """Submit tasks; return what was done, for the reader."""
        for task in tasks:
            self._state(task).unlink(missing_ok=True)
        if (launcher := make_launcher(self.settings)) is None:
            indices = " ".join(str(task.index) for task in tasks)
            command = " ".join(work_command(self.root, self.path))
            return f"run this for each INDEX of {indices}:\n{command} INDEX"
        jobs = launcher.submit(self.root, self.path, tasks)
        write_json(self.path / "jobs.json", self.jobs() | jobs)
        return f"{len(tasks)} experiments submitted (job {', '.join(jobs)}); folder {self.path}"

    def states(self) -> dict[str, TaskState]:
        """Return what the launcher knows, by the experiments' names."""
        launcher, jobs = make_launcher(self.settings), self.jobs()
        states = launcher.states(self.path, jobs) if launcher and jobs else {}
        return {self.tasks[index].name: state for index, state in states.items()}

    def record(self, task: GridTask) -> TaskRecord | None:
        """Return what a task last said; None if it has not begun."""
        file = self._state(task)
        return TaskRecord(**read_json(file)) if file.is_file() else None

    def note(self, task: GridTask, state: Recorded, message: str = "") -> None:
        """Write what a task says of itself."""
        record = TaskRecord(state, message, socket.gethostname())
        write_json(self._state(task), record._asdict())

    def _state(self, task: GridTask) -> Path:
        return self.path / "state" / f"{task.name}.json"


class LogTail(NamedTuple):
    """The end of a task's log.

    Attributes:
        progress: the last stage that DVC started, and steps and time of its progress bar.
        lines: the last few, without progress bars.
    """

    progress: str = ""
    lines: Sequence[str] = ()


def read_tail(file: Path) -> LogTail:
    """Read the end of a log; one that is not there is empty."""
    if not file.is_file():
        return LogTail()
    with file.open("rb") as source:
        source.seek(max(0, source.seek(0, os.SEEK_END) - _TAIL))
        text = source.read().decode("utf-8", "replace").rpartition("\n== ")[2]
    stage, _, after = text.rpartition("Running stage '")[2].partition("':")
    bars = re.findall(r"\d+/\d+ \[[^\],]*", after)
    progress = [stage if after else "", f"{bars[-1]}]" if bars else ""]
    lines = [line.rstrip() for line in re.split(r"[\r\n]", text)]
    kept = [line for line in lines if line and not re.search(r"\d%\|", line)]
    return LogTail(", ".join(filter(None, progress)), kept[-_LINES:])
