"""The real pipeline in a process group of its own, which can be killed at any moment."""

import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import psutil
import yaml
from checkout import Project, checkout, environment

STAGES = ("prepare", "decompose", "build-sft", "train", "infer", "analyze")
#: A run that hangs is a failure; seconds are many, since a tested machine may be busy.
PATIENCE = 600


@dataclass
class Pipeline:
    """An undisturbed run and, for each stage, the checkout as it was before that stage ran.

    Attributes:
        before: stage -> folder.
        seconds: stage -> how long DVC and the stage took together.
        metrics: bytes of metrics/metrics.json in the end.
        status: what `git status --porcelain` says in the end.
    """

    before: dict[str, Path]
    seconds: dict[str, float]
    metrics: bytes
    status: str

    def copy(self, stage: str, target: Path) -> Project:
        """Return a new checkout in which `stage` is the next to run."""
        shutil.copytree(self.before[stage], target, symlinks=True)
        return Project(target)


def undisturbed(folder: Path, stages: Sequence[str] = STAGES) -> Pipeline:
    """Run the pipeline stage by stage in `folder`; keep a copy of it before each."""
    first = checkout(_made(folder / stages[0]))
    _more_moments(first)
    before, seconds = {stages[0]: first.path}, {}
    for stage, following in zip(stages, [*stages[1:], "done"], strict=True):
        before[following] = folder / following
        shutil.copytree(before[stage], before[following], symlinks=True)
        started = time.monotonic()
        Project(before[following]).dvc("repro", stage)
        seconds[stage] = time.monotonic() - started
    done = Project(before["done"])
    return Pipeline(before, seconds, metrics(done), status(done))


def _more_moments(project: Project) -> None:
    """Smaller batches, probes and checkpoints after every step: more places to be killed at."""
    path = project.path / "params.yaml"
    params = yaml.safe_load(path.read_text())
    params["train"] |= {"batch_size": 4, "epochs": 2}
    params["infer"] |= {"batch_size": 4}
    params["probes"] = {"enabled": True, "limit": 3}
    path.write_text(yaml.safe_dump(params, sort_keys=False))
    project.commit("More steps")


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True)
    return folder


def metrics(project: Project) -> bytes:
    return (project.path / "metrics/metrics.json").read_bytes()


def status(project: Project) -> str:
    return project.run("git", "status", "--porcelain").stdout


class Run:
    """A command in a checkout, alone in its session; what it prints is gathered as it comes.

    Attributes:
        started: every one of a test, so that a test which fails leaves none behind.
    """

    started: ClassVar[list["Run"]] = []

    def __init__(self, project: Project, *command: str, **variables: str) -> None:
        self.output = ""
        self.process = subprocess.Popen(
            command,
            cwd=project.path,
            env=environment() | {"PYTHONUNBUFFERED": "1"} | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.started.append(self)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output += line

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def wait_for(self, text: str) -> bool:
        """Return whether `text` was printed before the command ended."""
        deadline = time.monotonic() + PATIENCE
        while text not in self.output:
            if not self._reader.is_alive():
                return text in self.output
            assert time.monotonic() < deadline, self.output
            time.sleep(0.005)
        return True

    def send(self, number: signal.Signals) -> None:
        """Send a signal to every process of the group, as a terminal or a scheduler does."""
        if self.running:
            os.killpg(self.process.pid, number)

    def end(self) -> int:
        """Wait for the end of all its processes; return the exit status of the command."""
        code = self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return code

    def kill(self) -> None:
        """Kill the group and wait until all of it is gone."""
        self.send(signal.SIGKILL)
        self.end()


def strays(project: Project) -> list[str]:
    """Return what a run that was killed and run again must not leave in the checkout."""
    root = project.path
    found = [path for path in root.rglob("*.tmp") if ".git" not in path.relative_to(root).parts]
    found += (root / ".checkpoints").glob("*")
    return sorted(str(path.relative_to(root)) for path in found)


def workers(project: Project) -> list[str]:
    """Return the processes that are at work in the checkout."""
    found = []
    for process in psutil.process_iter(["pid", "cwd", "cmdline"]):
        where = process.info["cwd"]
        if where is not None and Path(where).is_relative_to(project.path):
            found.append(f"{process.info['pid']}: {' '.join(process.info['cmdline'] or [])}")
    return found
