"""Several runs at once: the same work is done once, different work does not meet."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import ROOT, Project, environment
from driver import Pipeline, Run, metrics, status, workers
from test_kills import experiment, wait_for_progress

from tracekd.config import load_model
from tracekd.files import sha256_file
from tracekd.models.sources import locate

LOCATE = """
import sys
from pathlib import Path
from tracekd.config import load_model
from tracekd.model_sources import locate
print("ready", flush=True)
sys.stdin.readline()
print(locate("tiny_llama", load_model(Path("models.yaml"), "tiny_llama")))
"""


def locating(cache: Path) -> "subprocess.Popen[str]":
    """Start a process that builds the model in an empty cache once it is told to."""
    variables = {"TRACEKD_CACHE": str(cache), "PYTHONPATH": str(ROOT / "src")}
    process = subprocess.Popen(
        [sys.executable, "-c", LOCATE],
        cwd=ROOT,
        env=environment() | variables,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def start(process: "subprocess.Popen[str]") -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


def test_two_processes_that_need_one_model_at_once_build_it_once_even_after_a_killed_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path / "alone"))
    expected = hashes(locate("tiny_llama", load_model(ROOT / "models.yaml", "tiny_llama")))

    shared = tmp_path / "shared"
    killed, *processes = [locating(shared) for _ in range(3)]
    start(killed)
    while not list(shared.glob("models/.tiny_llama-*.tmp")):
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    assert not list(shared.glob("models/tiny_llama-*/"))

    for process in processes:
        start(process)
    (folder,) = {Path(process.communicate()[0].strip()) for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    assert hashes(folder) == expected
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]


@pytest.mark.slow
def test_the_second_of_two_equal_experiments_is_told_who_is_at_it(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    project = pipeline.copy("done", tmp_path / "project")
    project.commit("First run")
    command = ("dvc", "exp", "run", "--temp", "-S", "seed=4", "-n")
    first = Run(project, *command, "first")
    wait_for_progress(project, "train", first)
    first.send(signal.SIGSTOP)
    (note,) = (project.path / ".checkpoints").glob("train-*.pid")
    holder = note.read_text()
    second = Run(project, *command, "second")
    assert second.end() != 0
    assert f"train: process {holder} is at this very work; wait for it, or stop it" in second.output
    assert "Traceback" not in second.output
    first.send(signal.SIGCONT)
    assert first.end() == 0, first.output
    assert workers(project) == []
    assert list((project.path / ".checkpoints").iterdir()) == []
    assert status(project) == ""


@pytest.mark.slow
def test_a_second_run_in_the_same_checkout_is_refused_by_dvc(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    project = pipeline.copy("train", tmp_path / "project")
    first = Run(project, "dvc", "repro")
    wait_for_progress(project, "train", first)
    first.send(signal.SIGSTOP)
    second = Run(project, "dvc", "repro")
    assert second.end() != 0
    assert f"(PID {first.process.pid}): " in second.output, second.output
    first.send(signal.SIGCONT)
    assert first.end() == 0, first.output
    assert metrics(project) == pipeline.metrics


@pytest.mark.slow
def test_different_experiments_at_once_end_as_each_does_alone(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    project = pipeline.copy("done", tmp_path / "project")
    project.commit("First run")
    before = metrics(project)
    alone = Project(tmp_path / "alone")
    shutil.copytree(project.path, alone.path, symlinks=True)

    def command(seed: int) -> tuple[str, ...]:
        return ("dvc", "exp", "run", "--temp", "-S", f"seed={seed}", "-n", f"seed-{seed}")

    runs = [Run(project, *command(seed)) for seed in (5, 6)]
    for run in runs:
        assert run.end() == 0, run.output
    for seed in (5, 6):
        alone.run(*command(seed))
        assert experiment(project, f"seed-{seed}") == experiment(alone, f"seed-{seed}")
    assert metrics(project) == before
    assert status(project) == ""
    assert list((project.path / ".checkpoints").iterdir()) == []
