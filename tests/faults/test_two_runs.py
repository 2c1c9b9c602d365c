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

from tracekd.files import sha256_file

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


def hashes(folder: Path) -> dict[str, str]:
    return {path.name: sha256_file(path) for path in sorted(folder.iterdir())}


def test_two_processes_that_need_one_model_at_once_build_it_once(tmp_path: Path) -> None:
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    one = locating(alone)
    (expected,) = {Path(one.communicate("\n")[0].strip())}
    processes = [locating(shared) for _ in range(2)]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    folders = {Path(process.communicate()[0].strip()) for process in processes}
    assert [process.returncode for process in processes] == [0, 0]
    (folder,) = folders
    assert hashes(folder) == hashes(expected)
    assert [path for path in folder.parent.iterdir() if path.is_dir()] == [folder]


def test_a_model_whose_making_was_killed_is_made_by_the_next(tmp_path: Path) -> None:
    process = locating(tmp_path)
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()
    while not list(tmp_path.glob("models/.tiny_llama-*.tmp")):
        assert process.poll() is None
    process.kill()
    process.communicate()
    assert not list(tmp_path.glob("models/tiny_llama-*/"))
    folder = Path(locating(tmp_path).communicate("\n")[0].strip())
    assert (folder / "config.json").is_file()
    assert (folder / "model.safetensors").is_file()
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
    assert f"(PID {first.process.pid}): dvc repro" in second.output
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
