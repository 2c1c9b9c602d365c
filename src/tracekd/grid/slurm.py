"""A SLURM cluster: tasks as job arrays.

Everything is given to SLURM's commands as arguments, and by sbatch to the job script: no value is
ever part of a script. Only sbatch, squeue, scancel and scontrol are used, so that a cluster without
accounting will do.
"""

import math
import os
import shutil
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from tracekd.errors import TracekdError
from tracekd.grid.launchers import GridTask, TaskState, work_command
from tracekd.grid.settings import Resources, SlurmOptions

#: Tasks of one array. SLURM's own limit of a task's number, MaxArraySize, is 1001 by default.
ARRAY = 1000
TEMPLATE = Path(__file__).with_name("slurm.sh")

#: States of squeue before a task runs (again), and those in which it has its machine.
_WAITING = {"PENDING", "CONFIGURING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT"}
_RUNNING = {"RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}


class SlurmLauncher:
    """Runs tasks as job arrays of SLURM."""

    def __init__(self, options: SlurmOptions) -> None:
        """Take `slurm` of grid.yaml."""
        self._options = options

    def check(self, resources: Sequence[Resources]) -> None:
        """Raise TracekdError with SLURM's own words if it would not take such jobs.

        SLURM is given one of each kind, for later, which is taken back. `sbatch --test-only` also
        refuses what only has to wait, such as jobs for nodes that are drained: a warning.
        """
        if shutil.which("sbatch") is None:
            raise TracekdError(
                "grid.yaml: launcher: slurm: no sbatch on PATH; submit from a machine of the "
                "cluster, or use launcher: local"
            )
        template = self._template(Path())
        if not template.is_file():
            raise TracekdError(
                f"grid.yaml: slurm: template: {template} is not there; copy {TEMPLATE} and edit it"
            )
        for kind in resources:
            job = ["--array=0", "--output=/dev/null", *self._options_of(kind), str(template)]
            _slurm("scancel", _sbatch(["--begin=now+1hour", *job]))
            try:
                _slurm("sbatch", "--test-only", *job)
            except TracekdError as error:
                print(f"warning: SLURM could not start such a task now: {error}", file=sys.stderr)

    def submit(self, root: Path, folder: Path, tasks: Sequence[GridTask]) -> dict[str, list[int]]:
        """Submit an array for each kind of resources and each thousand of indices.

        Raises:
            TracekdError: SLURM refuses one; the others are cancelled.
        """
        logs = str(folder / "logs" / "slurm-").replace("%", "%%")
        groups: dict[tuple[Resources, int], list[int]] = defaultdict(list)
        for task in tasks:
            groups[task.resources, _offset(task.index)].append(task.index)
        jobs: dict[str, list[int]] = {}
        try:
            for (resources, offset), indices in groups.items():
                array = ",".join(str(index - offset) for index in sorted(indices))
                if self._options.at_once:
                    array += f"%{self._options.at_once}"
                options = [
                    f"--array={array}",
                    f"--job-name=tracekd-{folder.name}",
                    f"--chdir={root}",
                    f"--output={logs}%A_%a.out",
                    *self._options_of(resources),
                ]
                command = work_command(root, folder)
                job = _sbatch([*options, str(self._template(root)), str(offset), *command])
                jobs[job] = indices
        except (TracekdError, KeyboardInterrupt):
            for job in jobs:
                self.cancel(folder, job)
            raise
        return jobs

    def states(self, folder: Path, jobs: Mapping[str, Sequence[int]]) -> dict[int, TaskState]:
        """Return the state of those tasks that SLURM knows, by index.

        It remembers a task for some minutes after its end (MinJobAge); the note is then how it
        ended, such as OUT_OF_MEMORY.
        """
        del folder
        first = {job: _offset(indices[0]) for job, indices in jobs.items()}
        states: dict[int, TaskState] = {}
        columns = "--format=%F %K %T %R"
        for line in _slurm("squeue", "--me", "--array", "--noheader", "--states=all", columns):
            job, number, state, place = [*line.split(maxsplit=3), ""][:4]
            if job not in first or not number.isdigit():
                continue
            index = first[job] + int(number)
            if state in _WAITING:
                states[index] = TaskState("waiting", place.strip("()"))
            elif state in _RUNNING:
                states[index] = TaskState("running", place)
            elif index not in states:  # another job may run it again
                states[index] = TaskState("gone", state)
        return states

    def cancel(self, folder: Path, job: str) -> None:
        """End all tasks of a job, waiting or running, the latter with SIGTERM."""
        del folder
        _slurm("scancel", job)

    def requeue(self) -> None:
        """Inside a task: put it in the queue again, after which SLURM ends it."""
        array = os.environ.get("SLURM_ARRAY_JOB_ID", "")
        number = os.environ.get("SLURM_ARRAY_TASK_ID", "")
        try:
            _slurm("scontrol", "requeue", f"{array}_{number}")
        except TracekdError as error:  # an administrator may have switched it off
            print(error, file=sys.stderr)

    def _template(self, root: Path) -> Path:
        return root / self._options.template if self._options.template else TEMPLATE

    def _options_of(self, resources: Resources) -> list[str]:
        """Return sbatch's options for what a task needs; those of `extra` win."""
        wanted: dict[str, str | int | None] = {
            "cpus-per-task": resources.cores,
            "gres": f"gpu:{resources.gpus}" if resources.gpus else None,
            "mem": resources.memory,
            "time": math.ceil(resources.hours * 60) if resources.hours else None,
            "partition": self._options.partition,
            "account": self._options.account,
        }
        given = {key: value for key, value in wanted.items() if value is not None}
        found: dict[str, str | int | None] = {**given, **self._options.extra}
        return [f"--{key}" + ("" if value is None else f"={value}") for key, value in found.items()]


def _offset(index: int) -> int:
    """Return the index of the task that is number 0 of the array which holds `index`."""
    return index // ARRAY * ARRAY


def _sbatch(options: Iterable[str]) -> str:
    """Submit; return the job's id."""
    return _slurm("sbatch", "--parsable", *options)[-1].split(";")[0]


def _slurm(*command: str) -> list[str]:
    """Run a command of SLURM; return the lines of its output, or raise what it says."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    except FileNotFoundError as error:
        raise TracekdError(
            f"no {command[0]} on PATH: SLURM is reached from its own machines"
        ) from error
    if done.returncode:
        raise TracekdError(f"{command[0]}: {done.stderr.strip() or f'status {done.returncode}'}")
    return done.stdout.splitlines()
