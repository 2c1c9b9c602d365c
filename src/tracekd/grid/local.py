"""Processes of this machine."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from tracekd.errors import TracekdError
from tracekd.grid.launchers import GridTask, TaskState
from tracekd.grid.settings import LocalOptions, Resources


class LocalLauncher:
    """Runs tasks as processes."""

    def __init__(self, options: LocalOptions) -> None:
        """Take the options of grid.yaml."""
        self._options = options

    def check(self, resources: Sequence[Resources]) -> None:
        """Raise: there is no such launcher yet."""
        del resources
        raise TracekdError("grid.yaml: launcher: local is not there yet")

    def submit(
        self, root: Path, folder: Path, tasks: Sequence[GridTask]
    ) -> Mapping[str, list[int]]:
        """See `Launcher`."""
        raise NotImplementedError

    def states(
        self, folder: Path, jobs: Mapping[str, Sequence[GridTask]]
    ) -> Mapping[int, TaskState]:
        """See `Launcher`."""
        raise NotImplementedError

    def cancel(self, folder: Path, job: str) -> None:
        """See `Launcher`."""
        raise NotImplementedError

    def requeue(self) -> bool:
        """See `Launcher`."""
        raise NotImplementedError
