"""The process that runs the tasks of one submission on this machine.

It starts a task as soon as its GPUs and cores are free, gives it these GPUs, and waits for an
earlier submission of the same checkout. SIGTERM ends it, and its tasks by SIGTERM.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from tracekd.files import read_json, write_json
from tracekd.grid.folder import GridFolder
from tracekd.grid.launchers import GridTask, work_command

_SECONDS = 0.2


def job_file(folder: Path, job: str) -> Path:
    """Return the file with the state of a job."""
    return folder / "state" / f"{job}.job"


def is_alive(folder: Path, job: str) -> bool:
    """Return whether the process of a job lives."""
    try:
        with _lock(folder, job).acquire(timeout=0):
            return False
    except Timeout:
        return True


def visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that may be used: CUDA_VISIBLE_DEVICES, or all."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu for gpu in chosen.split(",") if gpu not in ("", "-1")]
    if shutil.which("nvidia-smi") is None:
        return []
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, check=False)  # noqa: S607
    return [str(n) for n, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU")]


class Slots:
    """The tasks of one submission, and what is free for them."""

    def __init__(self, folder: Path, job: str) -> None:
        """Read what was submitted."""
        self._grid, self._file = GridFolder.read(folder), job_file(folder, job)
        self._content: dict[str, Any] = read_json(self._file)
        self._waiting = [self._grid.tasks[index] for index in self._content["waiting"]]
        self._running: dict[int, tuple[GridTask, subprocess.Popen[bytes], list[str]]] = {}
        self._gpus, self._cores = visible_gpus(), len(os.sched_getaffinity(0))
        self._most = self._content["slots"] or len(self._waiting)
        self._stopped = False

    def run(self) -> None:
        """Run the tasks; return when all have ended."""
        signal.signal(signal.SIGTERM, self._stop)
        self._write()
        machine = FileLock(self._grid.path.parent / f"{socket.gethostname()}.lock")
        while not self._stopped:
            try:
                with machine.acquire(timeout=_SECONDS):
                    while self._waiting or self._running:
                        self._step()
                        time.sleep(_SECONDS)
                    return
            except Timeout:
                continue

    def _step(self) -> None:
        before = len(self._waiting), len(self._running)
        for index, (task, process, gpus) in list(self._running.items()):
            if process.poll() is not None:
                self._gpus += gpus
                self._cores += task.resources.cores
                del self._running[index]
        for task in list(self._waiting):
            if self._stopped or self._fits(task):
                self._waiting.remove(task)
            if not self._stopped and task not in self._waiting:
                self._start(task)
        if before != (len(self._waiting), len(self._running)):
            self._write()

    def _fits(self, task: GridTask) -> bool:
        needed = task.resources
        room = needed.gpus <= len(self._gpus) and needed.cores <= self._cores
        return room and len(self._running) < self._most

    def _start(self, task: GridTask) -> None:
        count = task.resources.gpus
        gpus, self._gpus = self._gpus[:count], self._gpus[count:]
        self._cores -= task.resources.cores
        process = subprocess.Popen(  # noqa: S603
            work_command(self._grid.root, self._grid.path, task.index),
            env=os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        self._running[task.index] = (task, process, gpus)

    def _stop(self, *_: object) -> None:
        self._stopped = True
        for running in self._running.values():
            running[1].terminate()

    def _write(self) -> None:
        state = {
            "pid": os.getpid(),
            "waiting": [task.index for task in self._waiting],
            "running": list(self._running),
        }
        write_json(self._file, self._content | state)


def _lock(folder: Path, job: str) -> FileLock:
    return FileLock(job_file(folder, job).with_suffix(".lock"))


if __name__ == "__main__":
    place, name = Path(sys.argv[1]), sys.argv[2]
    with _lock(place, name):
        Slots(place, name).run()
