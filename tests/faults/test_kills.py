"""Whatever moment a run is killed at, the next one ends as if nothing had happened."""

import random
import shutil
import signal
import time
from pathlib import Path

import pytest
from checkout import Project, checkout
from driver import STAGES, Pipeline, Run, metrics, status, strays, workers

KILLS = 30
#: Seconds in which a signal must end a stage; a step of the tiny model takes hundredths of one.
PROMPT = 20


def check_rerun(pipeline: Pipeline, project: Project) -> None:
    """Run again; nothing may tell the outcome from that of an undisturbed run."""
    rerun(project)
    assert metrics(project) == pipeline.metrics
    assert status(project) == pipeline.status
    assert strays(project) == []
    assert workers(project) == []


def rerun(project: Project, *stages: str) -> None:
    """Run again as the README says: DVC does not write its lock file in one piece."""
    again = Run(project, "dvc", "repro", *stages)
    if again.end() != 0:
        assert "dvc.lock' validation failed" in again.output or "'dvc.lock' is invalid" in (
            again.output
        ), again.output
        if project.run("git", "ls-files", "dvc.lock").stdout:
            project.run("git", "checkout", "dvc.lock")
        else:
            (project.path / "dvc.lock").unlink()
        again = Run(project, "dvc", "repro", *stages)
        assert again.end() == 0, again.output


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_killed_at_any_moment_is_finished_by_the_next(
    pipeline: Pipeline, number: int, tmp_path: Path
) -> None:
    stage = STAGES[number % len(STAGES)]
    moment = random.Random(number).uniform(0, pipeline.seconds[stage])  # noqa: S311
    project = pipeline.copy(stage, tmp_path / "project")
    run = Run(project, "dvc", "repro")
    assert run.wait_for(f"Running stage '{stage}'"), run.output
    time.sleep(moment)
    run.kill()
    assert workers(project) == []
    check_rerun(pipeline, project)


@pytest.mark.slow
def test_a_run_killed_again_and_again_still_ends(pipeline: Pipeline, tmp_path: Path) -> None:
    project = pipeline.copy(STAGES[0], tmp_path / "project")
    draw = random.Random(7)  # noqa: S311
    for _ in range(6):
        run = Run(project, "dvc", "repro")
        time.sleep(draw.uniform(1, sum(pipeline.seconds.values()) / 2))
        run.kill()
    check_rerun(pipeline, project)


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["train", "infer"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_stage_soon_and_its_progress_is_used(
    pipeline: Pipeline, stage: str, number: signal.Signals, tmp_path: Path
) -> None:
    project = pipeline.copy(stage, tmp_path / "project")
    run = Run(project, "dvc", "repro")
    wait_for_progress(project, stage, run)
    sent = time.monotonic()
    run.send(number)
    assert run.end() != 0
    assert time.monotonic() - sent < PROMPT
    assert workers(project) == []
    assert progress(project, stage), run.output
    if stage == "train":
        assert f"{number.name}: " in run.output
        assert "steps are kept; run again to go on from there" in run.output
    check_rerun(pipeline, project)


def progress(project: Project, stage: str) -> list[Path]:
    """Return what a rerun can go on from: whole checkpoints, or journals with an answer."""
    folder = project.path / ".checkpoints"
    if stage == "train":
        return list(folder.glob("train-*/checkpoint-*/monitor.json"))
    return [path for path in folder.glob("infer-*/answers.jsonl") if path.stat().st_size]


def wait_for_progress(project: Project, stage: str, run: Run) -> None:
    while not progress(project, stage):
        assert run.running, run.output
        time.sleep(0.002)


@pytest.mark.slow
def test_an_experiment_killed_in_a_temporary_folder_is_finished_by_the_next(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    command = ("dvc", "exp", "run", "--temp", "-S", "seed=3", "-n")
    project = pipeline.copy("done", tmp_path / "project")
    project.commit("First run")
    other = Project(tmp_path / "other")
    shutil.copytree(project.path, other.path, symlinks=True)
    other.run(*command, "undisturbed")
    before = metrics(project)

    run = Run(project, *command, "killed")
    wait_for_progress(project, "train", run)
    run.kill()
    assert workers(project) == []
    project.run(*command, "again")
    assert experiment(project, "again") == experiment(other, "undisturbed")
    assert metrics(project) == before
    assert status(project) == ""
    assert list((project.path / ".checkpoints").iterdir()) == []


def experiment(project: Project, name: str) -> str:
    """Return the metrics of an experiment by its name, from git."""
    refs = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    (ref,) = (ref for ref in refs if ref.endswith(f"/{name}"))
    return project.run("git", "show", f"{ref}:metrics/metrics.json").stdout


def test_preparing_data_survives_a_kill_in_each_of_its_stages(tmp_path: Path) -> None:
    """The quick one: no model, DVC and three stages only."""
    fresh = checkout(tmp_path / "undisturbed")
    done = Project(tmp_path / "done")
    shutil.copytree(fresh.path, done.path, symlinks=True)
    done.dvc("repro", "build-sft")
    draw = random.Random(0)  # noqa: S311
    for stage in ("prepare", "decompose", "build-sft"):
        run = Run(fresh, "dvc", "repro", "build-sft")
        run.wait_for(f"Running stage '{stage}'")
        time.sleep(draw.uniform(0, 0.6))
        run.kill()
    rerun(fresh, "build-sft")
    for name in ("train", "validation", "test"):
        path = f"data/sft/{name}.parquet"
        assert (fresh.path / path).read_bytes() == (done.path / path).read_bytes()
    assert strays(fresh) == []
    assert workers(fresh) == []
