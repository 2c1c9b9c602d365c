"""One task: its experiment in a checkout of its own, then data and ref published, in this order.

A requeued task does again what is not published: stages that ended come from the shared cache, one
that was stopped resumes from its checkpoint, since both lie with the user's own checkout.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from types import FrameType
from typing import Any

import psutil
from filelock import FileLock, Timeout
from ruamel.yaml import YAML

from tracekd.errors import TracekdError
from tracekd.grid.folder import GridFolder
from tracekd.grid.launchers import GridTask, log_path
from tracekd.grid.repository import dvc, experiment_refs, git, set_remote_urls

_POLL = 0.2
#: Between two attempts to publish, at most.
_PAUSE = 30.0


class _StopRequested(Exception):  # noqa: N818
    """The task was asked to end."""


def work(path: Path, index: int) -> int:
    """Run a task of a grid's folder; return the exit code.

    Output goes to the task's log. A task that is asked to stop keeps a checkpoint and returns 0.
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
        grid.note(task, "stopped", f"by {worker.signal.name}" if worker.signal else "")
        if worker.signal == signal.SIGUSR1:
            grid.launcher.requeue()
        return 0
    except Timeout:
        print("error: another process is already running this task", file=sys.stderr)
        return 1
    except (TracekdError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        grid.note(task, "failed", str(error))
        return 1
    except BaseException as error:
        grid.note(task, "failed", f"{type(error).__name__}: {error}")
        raise
    return 0


class _Worker:
    """A task at work.

    Attributes:
        signal: what asked it to stop; None if nothing did.
    """

    def __init__(self, grid: GridFolder, task: GridTask) -> None:
        self._grid, self._task = grid, task
        scratch = Path(grid.settings.scratch or tempfile.gettempdir())
        # The next attempt on the same machine cleans up what a killed one left.
        self._scratch = scratch / f"tracekd-grid-{os.getuid()}" / f"{grid.path.name}-{task.index}"
        self._clone = self._scratch / "checkout"
        self.signal: signal.Signals | None = None
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.signal(number, self._stop)

    def run(self) -> None:
        """Run the experiment and publish it, unless that was done before."""
        remote, name = self._grid.settings.git_remote, self._task.name
        print(f"\n== {time.strftime('%Y-%m-%d %H:%M:%S')} {name} on {os.uname().nodename}")
        if name in self._retried("git ls-remote", lambda: experiment_refs(self._grid.root, remote)):
            print(f"{name} is on {remote} already")
            return
        try:
            self._check()
            make_checkout(self._grid, self._clone, self._grid.values[self._task.index])
            self._experiment()
            self._publish()
        finally:
            shutil.rmtree(self._scratch, ignore_errors=True)

    def _experiment(self) -> None:
        """Run the stages; a request to stop is passed on to the one that runs."""
        command = [sys.executable, "-m", "dvc", "exp", "run", "--name", self._task.name]
        cores = str(self._task.resources.cores)
        environment = {"OMP_NUM_THREADS": cores} | task_environment(self._grid, self._scratch)
        process = subprocess.Popen(  # noqa: S603
            command, cwd=self._clone, env=environment, stdin=subprocess.DEVNULL
        )
        asked: set[int] = set()
        while process.poll() is None or (self.signal and stages_in(self._clone)):
            if self.signal is not None:
                for stage in stages_in(self._clone):
                    if stage.pid not in asked:
                        asked.add(stage.pid)
                        stage.terminate()
            time.sleep(_POLL)
        if process.returncode:
            self._check()
            raise TracekdError(f"dvc exp run ended with status {process.returncode}")

    def _publish(self) -> None:
        """Push the data, then the ref: a ref on the remote means that its data is there."""
        settings = self._grid.settings
        remote = ["--remote", settings.dvc_remote] if settings.dvc_remote else []
        environment = task_environment(self._grid, self._scratch)
        self._retried(
            "dvc push", lambda: dvc(self._clone, "push", *remote, environment=environment)
        )
        ref = experiment_refs(self._clone)[self._task.name]

        def push_ref() -> None:
            # As `dvc exp push` does, but by git itself: with the user's own access to the remote,
            # and an exit code that says whether the ref has arrived.
            git(self._clone, "push", "--quiet", settings.git_remote, f"{ref}:{ref}")

        self._retried("git push", push_ref)

    def _retried(self, what: str, action: Any) -> Any:
        """Return what the action returns; while it fails, try again for the time in grid.yaml."""
        deadline, pause = time.monotonic() + 60 * self._grid.settings.publish_minutes, 1.0
        while True:
            try:
                found = action()
            except TracekdError as error:
                self._check()
                if time.monotonic() + pause > deadline:
                    raise
                print(f"{what} failed, is tried again in {pause:.0f} s: {error}", file=sys.stderr)
                self._grid.note(self._task, "running", f"{what} is tried again: {error}")
                wake = time.monotonic() + pause
                while time.monotonic() < wake:
                    self._check()
                    time.sleep(_POLL)
                pause = min(2 * pause, _PAUSE)
            else:
                return found

    def _check(self) -> None:
        if self.signal is not None:
            raise _StopRequested

    def _stop(self, number: int, _frame: FrameType | None) -> None:
        self.signal = signal.Signals(number)


def make_checkout(grid: GridFolder, clone: Path, values: Mapping[str, Any]) -> None:
    """Make a checkout of the grid's commit with these parameters, on the shared cache."""
    shutil.rmtree(clone.parent, ignore_errors=True)
    clone.parent.mkdir(parents=True)
    git(clone.parent, "clone", "--quiet", "--no-checkout", str(grid.root), clone.name)
    git(clone, "checkout", "--quiet", "--detach", grid.commit)
    set_remote_urls(grid.root, clone, [grid.settings.git_remote])
    shutil.copyfile(grid.path / "config.local", clone / ".dvc/config.local")
    yaml = YAML()
    yaml.preserve_quotes, yaml.width = True, 4096
    file = clone / "params.yaml"
    content = yaml.load(file)
    for key, value in values.items():
        *above, last = key.split(".")
        place = content
        for part in above:
            place = place.setdefault(part, {})
        place[last] = value
    yaml.dump(content, file)


def task_environment(grid: GridFolder, scratch: Path) -> dict[str, str]:
    """Return the environment of DVC in a task's checkout.

    The stages take the user's own checkout for theirs (DVC_ROOT, which `dvc exp run --temp` sets
    too): checkpoints and a teacher's replies are kept there, and relative paths start there.
    """
    commands = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    site = {"DVC_ROOT": str(grid.root), "DVC_SITE_CACHE_DIR": str(scratch / "site")}
    return dict(os.environ) | site | {"PATH": commands}


def stages_in(clone: Path) -> list[psutil.Process]:
    """Return the processes of stages that run in a checkout."""
    found = []
    for process in psutil.process_iter(["cwd", "cmdline"]):
        words = process.info["cmdline"] or []
        if process.info["cwd"] == str(clone.resolve()) and any(
            w.startswith("stages/") for w in words
        ):
            found.append(process)
    return found


def _append_output(file: Path) -> None:
    """Append all output of this process and its children to a file."""
    sys.stdout.flush()
    sys.stderr.flush()
    target = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.dup2(target, 1)
    os.dup2(target, 2)
    os.close(target)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
