"""Processes of this machine: as many tasks at once as its GPUs or cores have room for.

`submit` starts this module as a process that outlives the command; its number is the job's name.
It waits for the earlier ones of the same checkout, then starts the tasks.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import psutil

from tracekd.errors import TracekdError
from tracekd.grid.folder import GridFolder
from tracekd.grid.launchers import GridTask, TaskState, work_command
from tracekd.grid.settings import Resources

_MODULE = "tracekd.grid.local"
_POLL = 0.2


class LocalLauncher:
    """Runs tasks as processes of this machine."""

    def check(self, resources: Sequence[Resources]) -> None:
        """Raise TracekdError if a task needs more than this machine has."""
        _slots(resources)

    def submit(self, root: Path, folder: Path, tasks: Sequence[GridTask]) -> dict[str, list[int]]:
        """Start tasks in a process of this module; return its number and their indices."""
        indices = [task.index for task in tasks]
        source = os.pathsep.join([str(root / "src"), *filter(None, [os.environ.get("PYTHONPATH")])])
        with (folder / "logs/local.out").open("ab") as out:
            started = subprocess.Popen(  # noqa: S603
                [sys.executable, "-m", _MODULE, str(folder), *map(str, indices)],
                env=os.environ | {"PYTHONPATH": source},
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        return {str(started.pid): indices}

    def states(self, folder: Path, jobs: Mapping[str, Sequence[int]]) -> dict[int, TaskState]:
        """Return the state of those tasks in these jobs that wait or run, by index."""
        grid, found = GridFolder.read(folder), {}
        alive = [indices for job, indices in jobs.items() if _process(folder, job)]
        for index in chain.from_iterable(alive):
            record = grid.record(grid.tasks[index])
            if record is None:
                found[index] = TaskState("waiting", "for a slot")
            elif record.state == "running":
                found[index] = TaskState("running", record.host)
        return found

    def cancel(self, folder: Path, job: str) -> None:
        """End all tasks of a job, waiting or running, the latter with SIGTERM."""
        if process := _process(folder, job):
            process.terminate()

    def requeue(self) -> None:
        """Do nothing: `retry` starts a stopped task again."""


def _process(folder: Path, job: str) -> psutil.Process | None:
    """Return the process of a job if it lives."""
    try:
        process = psutil.Process(int(job))
        return process if str(folder) in process.cmdline() else None
    except psutil.Error:
        return None


def _earlier(grids: Path) -> list[psutil.Process]:
    """Return the processes that run or wait for other submissions and started before this one."""
    began = psutil.Process().create_time()
    return [
        process
        for process in psutil.process_iter(["cmdline", "create_time"])
        if _MODULE in (words := process.info["cmdline"] or ())
        and any(Path(word).parent == grids for word in words)
        and process.info["create_time"] < began
    ]


def _slots(resources: Sequence[Resources], most: int | None = None) -> list[list[str]]:
    """Return the GPUs of each slot: as many slots as have room for any of the tasks.

    Raises:
        TracekdError: if there is room for none.
    """
    gpus, cores = _visible_gpus(), len(os.sched_getaffinity(0))
    each = max(one.gpus for one in resources)
    count = min(most or cores, cores // max(one.cores for one in resources))
    count = min(count, len(gpus) // each) if each else count
    if not count:
        raise TracekdError(
            f"grid.yaml: resources: this machine has {len(gpus)} GPUs and {cores} cores, too few "
            "for one experiment"
        )
    return [gpus[number * each : (number + 1) * each] for number in range(count)]


def _visible_gpus() -> list[str]:
    """Return the NVIDIA GPUs that may be used: CUDA_VISIBLE_DEVICES, or all."""
    chosen = os.environ.get("CUDA_VISIBLE_DEVICES")
    if chosen is not None:
        return [gpu for gpu in chosen.split(",") if gpu not in ("", "-1")]
    if (program := shutil.which("nvidia-smi")) is None:
        return []
    listed = subprocess.run([program, "-L"], capture_output=True, text=True, check=False)  # noqa: S603
    return [str(n) for n, line in enumerate(listed.stdout.splitlines()) if line.startswith("GPU")]


def _main(folder: Path, indices: Sequence[int]) -> None:
    """Run tasks of a grid's folder; SIGTERM ends them, by SIGTERM."""
    grid = GridFolder.read(folder)
    waiting = [grid.tasks[index] for index in indices]
    free = _slots([task.resources for task in waiting], grid.settings.local.slots)
    running: dict[subprocess.Popen[bytes], tuple[GridTask, list[str]]] = {}
    while _earlier(grid.path.parent):
        time.sleep(1)
    asked: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _: asked.append(number))
    while waiting or running:
        if asked:
            asked.clear()
            waiting.clear()
            for process in running:
                process.terminate()
        while waiting and free:
            task, gpus = waiting.pop(0), free.pop(0)
            process = subprocess.Popen(  # noqa: S603
                [*work_command(grid.root, grid.path), str(task.index)],
                env=os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)},
                stdin=subprocess.DEVNULL,
            )
            running[process] = task, gpus
        for process in [one for one in running if one.poll() is not None]:
            task, gpus = running.pop(process)
            free.append(gpus)
            if process.returncode < 0:
                grid.note(task, "failed", f"ended by {signal.Signals(-process.returncode).name}")
        time.sleep(_POLL)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), [int(index) for index in sys.argv[2:]])
