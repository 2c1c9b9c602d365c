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
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

import psutil

from tracekd.errors import TracekdError
from tracekd.grid.folder import GridFolder
from tracekd.grid.launchers import GridTask, TaskState, work_command
from tracekd.grid.settings import LocalOptions, Resources

_MODULE = "tracekd.grid.local"


class LocalLauncher:
    """Runs tasks as processes of this machine."""

    def __init__(self, options: LocalOptions) -> None:
        """Take the options of grid.yaml."""
        self._options = options

    def check(self, resources: Sequence[Resources]) -> None:
        """Raise if a task needs more than this machine has."""
        _slots(resources)

    def submit(
        self, root: Path, folder: Path, tasks: Sequence[GridTask]
    ) -> Mapping[str, list[int]]:
        """See `Launcher`."""
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

    def states(
        self, folder: Path, jobs: Mapping[str, Sequence[GridTask]]
    ) -> Mapping[int, TaskState]:
        """See `Launcher`."""
        grid, found = GridFolder.read(folder), {}
        for job, tasks in jobs.items():
            for task in tasks if _process(folder, job) else ():
                record = grid.record(task)
                if record is None:
                    found[task.index] = TaskState("waiting", "for a slot")
                elif record.state == "running":
                    found[task.index] = TaskState("running", record.host)
        return found

    def cancel(self, folder: Path, job: str) -> None:
        """See `Launcher`."""
        if process := _process(folder, job):
            process.terminate()

    def requeue(self) -> bool:
        """Return False: `retry` starts a stopped task again."""
        return False


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
    tasks = [grid.tasks[index] for index in indices]
    free: SimpleQueue[list[str]] = SimpleQueue()
    slots = _slots([task.resources for task in tasks], grid.settings.local.slots)
    for gpus in slots:
        free.put(gpus)
    running: set[subprocess.Popen[bytes]] = set()
    stopped: list[int] = []

    def stop(number: int, _frame: object) -> None:
        stopped.append(number)
        for process in list(running):
            process.terminate()

    def work(task: GridTask) -> None:
        gpus = free.get()
        if not stopped:
            process = subprocess.Popen(  # noqa: S603
                [*work_command(grid.root, grid.path), str(task.index)],
                env=os.environ | {"CUDA_VISIBLE_DEVICES": ",".join(gpus)},
                stdin=subprocess.DEVNULL,
            )
            running.add(process)
            if process.wait() < 0:
                grid.note(task, "failed", f"ended by {signal.Signals(-process.returncode).name}")
            running.discard(process)
        free.put(gpus)

    while _earlier(grid.path.parent):
        time.sleep(1)
    with ThreadPoolExecutor(len(slots)) as pool:
        signal.signal(signal.SIGTERM, stop)
        list(pool.map(work, tasks))


if __name__ == "__main__":
    _main(Path(sys.argv[1]), [int(index) for index in sys.argv[2:]])
