"""One task: its experiment in a checkout of its own, then data and ref published, in this order.

A task that is started again does what is not published yet: stages that ended come from the shared
cache, one that was stopped resumes from its checkpoint; both lie with the user's own checkout.
"""

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import psutil
from filelock import FileLock, Timeout
from ruamel.yaml import YAML

from tracekd.errors import TracekdError
from tracekd.grid.baseline import experiment_refs, remote_url
from tracekd.grid.cells import set_values
from tracekd.grid.folder import GridFolder
from tracekd.grid.launchers import GridTask, log_path, make_launcher
from tracekd.progress import digest
from tracekd.repository import dvc, git

T = TypeVar("T")
_POLL = 0.2
#: Seconds between two attempts to publish, at most.
_PAUSE = 30.0


class _StopRequested(Exception):  # noqa: N818
    """The task was asked to end."""


def work(path: Path, index: int) -> None:
    """Run a task of a grid's folder; output goes to its log.

    A task that is asked to stop keeps a checkpoint and returns.
    """
    grid = GridFolder.read(path)
    if not 0 <= index < len(grid.tasks):
        raise TracekdError(f"{path}: has tasks 0 to {len(grid.tasks) - 1}, not {index}")
    task = grid.tasks[index]
    _append_output(log_path(grid.path, task))
    worker = _Worker(grid, task)
    try:
        with FileLock(grid.path / "state" / f"{task.name}.lock", timeout=60):
            grid.note(task, "running")
            worker.run()
            grid.note(task, "done")
    except _StopRequested:
        asked = signal.Signals(worker.signal)
        grid.note(task, "stopped", f"by {asked.name}")
        if asked == signal.SIGUSR1 and (launcher := make_launcher(grid.settings)):
            launcher.requeue()
    except Timeout as error:
        raise TracekdError("another process is already running this task") from error
    except Exception as error:
        grid.note(task, "failed", f"{error}")
        raise


class _Worker:
    """A task at work.

    Attributes:
        signal: the number of the signal that asked it to stop; 0 if none did.
    """

    def __init__(self, grid: GridFolder, task: GridTask) -> None:
        self.signal = 0
        self._grid, self._task = grid, task
        # The same for each attempt: the next on this machine cleans up what a killed one left.
        name = f"tracekd-{digest([os.getuid(), str(grid.path), task.index])[:12]}"
        self._scratch = Path(grid.settings.scratch or tempfile.gettempdir()) / name
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, self._stop)

    def run(self) -> None:
        """Run the experiment and publish it, unless that was done before."""
        grid, name, remote = self._grid, self._task.name, self._grid.settings.git_remote
        print(f"\n== {name} on {os.uname().nodename}, {time.strftime('%Y-%m-%d %H:%M:%S')}")
        there = self._retried(lambda: experiment_refs(grid.root, remote))
        if name in there:
            print(f"{name} is on {remote} already")
            return
        clone = self._scratch / "checkout"
        try:
            make_checkout(grid, clone, self._task.values)
            self._experiment(clone)
            # A ref on the remote means that its data is there, which DVC would push second.
            where = ["--remote", grid.settings.dvc_remote] if grid.settings.dvc_remote else []
            environment = stage_environment(grid, clone)
            self._retried(lambda: dvc(clone, "push", *where, environment=environment))
            ref = experiment_refs(clone)[name]
            # As `dvc exp push` does, but with the user's own access to the remote, and with a
            # status that says whether the ref has arrived.
            self._retried(lambda: git(clone, "push", "--quiet", remote, f"{ref}:{ref}"))
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _experiment(self, clone: Path) -> None:
        """Run the stages; a request to stop is passed on to the one that runs."""
        threads = {"OMP_NUM_THREADS": str(self._task.resources.cores)}
        process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-m", "dvc", "exp", "run", "--name", self._task.name],
            cwd=clone,
            env=threads | os.environ | stage_environment(self._grid, clone),
            stdin=subprocess.DEVNULL,
        )
        asked: set[int] = set()
        while process.poll() is None or (self.signal and _stages_in(clone)):
            for stage in _stages_in(clone) if self.signal else ():
                if stage.pid not in asked:
                    asked.add(stage.pid)
                    with contextlib.suppress(psutil.NoSuchProcess):
                        stage.terminate()
            time.sleep(_POLL)
        if process.returncode:
            self._check()
            raise TracekdError(f"dvc exp run ended with status {process.returncode}")

    def _retried(self, action: Callable[[], T]) -> T:
        """Return what the action returns; while it fails, try again for the time in grid.yaml."""
        deadline, pause = time.monotonic() + 60 * self._grid.settings.publish_minutes, 1.0
        while True:
            self._check()
            try:
                return action()
            except TracekdError as error:
                if time.monotonic() + pause > deadline:
                    raise
                print(f"{error} (is tried again in {pause:.0f} s)", file=sys.stderr)
                self._grid.note(self._task, "running", f"tries again: {error}")
            wake = time.monotonic() + pause
            while time.monotonic() < wake and not self.signal:
                time.sleep(_POLL)
            pause = min(2 * pause, _PAUSE)

    def _check(self) -> None:
        if self.signal:
            raise _StopRequested

    def _stop(self, number: int, _frame: object) -> None:
        self.signal = number


def make_checkout(grid: GridFolder, clone: Path, values: Mapping[str, Any]) -> None:
    """Make a checkout of the grid's commit with these parameters, on the shared cache."""
    shutil.rmtree(clone.parent, ignore_errors=True)
    clone.parent.mkdir(parents=True)
    # --shared: no copy of the objects, which stay in the user's repository.
    options = ("--quiet", "--shared", "--no-checkout")
    git(clone.parent, "clone", *options, str(grid.root), clone.name)
    git(clone, "checkout", "--quiet", "--detach", grid.commit)
    git(clone, "remote", "remove", "origin")
    remote = grid.settings.git_remote
    git(clone, "remote", "add", remote, remote_url(grid.root, remote))
    shutil.copyfile(grid.path / "config.local", clone / ".dvc/config.local")
    file, yaml = clone / "params.yaml", YAML()
    yaml.dump(set_values(yaml.load(file), values), file)


def stage_environment(grid: GridFolder, clone: Path) -> dict[str, str]:
    """Return what is added to the environment of DVC and its stages in a task's checkout.

    Stages take the user's own checkout for theirs: checkpoints and a teacher's replies are kept
    there, and relative paths start there. What DVC notes of a checkout goes with it.
    """
    commands = [str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]
    return {
        "TRACEKD_ROOT": str(grid.root),
        "DVC_SITE_CACHE_DIR": str(clone.parent / "site"),
        "PATH": os.pathsep.join(commands),
    }


def _stages_in(clone: Path) -> list[psutil.Process]:
    """Return the processes of stages that run in a checkout."""
    here = str(clone.resolve())
    return [
        process
        for process in psutil.process_iter(["cwd", "cmdline"])
        if process.info["cwd"] == here
        and any(word.startswith("stages/") for word in process.info["cmdline"] or ())
    ]


def _append_output(file: Path) -> None:
    """Append all output of this process and its children to a file."""
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
        os.dup2(target, stream.fileno())
    os.close(target)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
