"""Processes of this machine: as many tasks at once as its GPUs or cores have room for.

`submit` starts a process (`tracekd.grid.slots`) that outlives the command and starts the tasks. It
holds a lock as long as it lives, so that a killed one is seen at once.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from tracekd.errors import TracekdError
from tracekd.files import read_json, write_json
from tracekd.grid.launchers import GridTask, TaskState
from tracekd.grid.settings import LocalOptions, Resources
from tracekd.grid.slots import is_alive, job_file, visible_gpus


class LocalLauncher:
    """Runs tasks as processes of this machine."""

    def __init__(self, options: LocalOptions) -> None:
        """Take the options of grid.yaml."""
        self._options = options

    def check(self, resources: Sequence[Resources]) -> None:
        """Raise if a task needs more than this machine has."""
        gpus, cores = len(visible_gpus()), len(os.sched_getaffinity(0))
        for one in resources:
            for name, needed, there in (("gpus", one.gpus, gpus), ("cores", one.cores, cores)):
                if needed > there:
                    raise TracekdError(
                        f"grid.yaml: resources: {name}: {needed}, but this machine has {there}"
                    )

    def submit(
        self, root: Path, folder: Path, tasks: Sequence[GridTask]
    ) -> Mapping[str, list[int]]:
        """See `Launcher`."""
        job = f"local-{time.strftime('%Y%m%d-%H%M%S')}-{os.getpid()}"
        indices = [task.index for task in tasks]
        file = job_file(folder, job)
        content = {"host": socket.gethostname(), "waiting": indices, "running": {}}
        write_json(file, content | {"slots": self._options.slots})
        source = root / "src"
        paths = [str(source), *filter(None, [os.environ.get("PYTHONPATH")])]
        with file.with_suffix(".out").open("wb") as out:
            started = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", "tracekd.grid.slots", str(folder), job],
                cwd=root,
                env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while "pid" not in read_json(file):  # it holds its lock from then on
            if started.poll() is not None or time.monotonic() > deadline:
                raise TracekdError(f"tasks were not started: see {file.with_suffix('.out')}")
            time.sleep(0.05)
        return {job: indices}

    def states(
        self, folder: Path, jobs: Mapping[str, Sequence[GridTask]]
    ) -> Mapping[int, TaskState]:
        """See `Launcher`."""
        found: dict[int, TaskState] = {}
        for job in jobs:
            if not is_alive(folder, job):
                continue
            content = read_json(job_file(folder, job))
            found |= {index: TaskState("waiting", "a slot") for index in content["waiting"]}
            host = content["host"]
            found |= {int(index): TaskState("running", host) for index in content["running"]}
        return found

    def cancel(self, folder: Path, job: str) -> None:
        """See `Launcher`."""
        if not is_alive(folder, job):
            return
        content = read_json(job_file(folder, job))
        if content["host"] != socket.gethostname():
            raise TracekdError(f"{job} runs on {content['host']}; cancel it there")
        with contextlib.suppress(ProcessLookupError):
            os.kill(content["pid"], signal.SIGTERM)

    def requeue(self) -> bool:
        """Return False: `retry` starts a stopped task again."""
        return False
