"""Whatever moment a run is killed at, the next one ends as if nothing had happened."""

import contextlib
import os
import random
import re
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from checkout import Project, checkout
from driver import PATIENCE, STAGES, Pipeline, Run, metrics, status, strays, workers

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
    """Run again as the README says: DVC does not write its own files in one piece."""
    again = Run(project, "dvc", "repro", *stages)
    for _ in range(2):  # a kill can leave half of either of them
        if again.end() == 0:
            return
        mend(project, again.output)
        again = Run(project, "dvc", "repro", *stages)
    assert again.end() == 0, again.output


def mend(project: Project, output: str) -> None:
    """Do what the README says to do about a file that DVC had half written."""
    if "Unable to read RWLock-file" in output:
        (project.path / ".dvc/tmp/rwlock").unlink()
    elif "dvc.lock' validation failed" in output or "'dvc.lock' is invalid" in output:
        if project.run("git", "ls-files", "dvc.lock").stdout:
            project.run("git", "checkout", "dvc.lock")
        else:
            (project.path / "dvc.lock").unlink()
    else:
        raise AssertionError(output)


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
@pytest.mark.parametrize(
    ("work", "kept"),
    [
        ("train", r"\d+ of \d+ steps"),
        ("infer", r"\d+ of \d+ batches"),
        ("probes", r"all answers and \d+ of \d+ batches of probes"),
    ],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_a_stage_soon_and_its_progress_is_used(
    pipeline: Pipeline, work: str, kept: str, number: signal.Signals, tmp_path: Path
) -> None:
    stage = {"probes": "infer"}.get(work, work)
    project = pipeline.copy(stage, tmp_path / "project")
    run = Run(project, "dvc", "repro")
    wait_for_progress(project, work, run)
    sent = time.monotonic()
    run.send(number)
    assert run.end() != 0, run.output
    assert time.monotonic() - sent < PROMPT
    assert workers(project) == []
    assert progress(project, work), run.output
    assert re.search(rf"{number.name}: {kept} are kept; run again to go on from there", run.output)
    assert "Traceback" not in run.output
    check_rerun(pipeline, project)


def progress(project: Project, work: str) -> list[Path]:
    """Return what a rerun can go on from: whole checkpoints, or journals with an answer."""
    folder = project.path / ".checkpoints"
    if work == "train":
        return list(folder.glob("train-*/checkpoint-*/monitor.json"))
    journal = {"infer": "answers", "probes": "probes-*"}[work]
    return [path for path in folder.glob(f"infer-*/{journal}.jsonl") if path.stat().st_size]


def wait_for_progress(project: Project, work: str, run: Run) -> None:
    while not progress(project, work):
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


@pytest.mark.slow
def test_an_experiment_whose_queue_was_killed_is_finished_once_it_is_queued_again(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    def queue(name: str) -> None:
        project.dvc("exp", "run", "--queue", "-S", "seed=3", "-n", name)
        project.dvc("queue", "start", "-j", "1")

    project = pipeline.copy("done", tmp_path / "project")
    project.commit("First run")
    other = Project(tmp_path / "other")
    shutil.copytree(project.path, other.path, symlinks=True)
    other.dvc("exp", "run", "--temp", "-S", "seed=3", "-n", "undisturbed")

    queue("killed")
    wait_until(lambda: bool(progress(project, "train")))
    kill_workers(project)
    assert progress(project, "train")
    queue("again")  # DVC calls the killed one "Running" for ever
    wait_until(lambda: "again" in finished(project))
    wait_until(lambda: not workers(project))
    assert experiment(project, "again") == experiment(other, "undisturbed")
    assert status(project) == ""
    assert list((project.path / ".checkpoints").iterdir()) == []


def finished(project: Project) -> list[str]:
    """Return the names of the queue's experiments that succeeded."""
    rows = [line.split() for line in project.dvc("queue", "status").stdout.splitlines()]
    return [row[1] for row in rows if row and row[-1] == "Success"]


def kill_workers(project: Project) -> None:
    """Kill all that is at work in the checkout, as when the machine goes down."""
    for worker in workers(project):
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(worker.partition(":")[0]), signal.SIGKILL)
    wait_until(lambda: not workers(project))


def wait_until(come: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not come():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def experiment(project: Project, name: str) -> str:
    """Return the metrics of an experiment by its name, from git."""
    refs = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout.split()
    (ref,) = (ref for ref in refs if ref.endswith(f"/{name}"))
    return project.run("git", "show", f"{ref}:metrics/metrics.json").stdout


@pytest.mark.parametrize(
    ("name", "half"), [("dvc.lock", "schema: '2.0'\nstages:\n  prep"), (".dvc/tmp/rwlock", "")]
)
def test_a_file_that_dvc_had_half_written_is_mended_as_the_readme_says(
    name: str, half: str, tmp_path: Path
) -> None:
    project = checkout(tmp_path / "project")
    project.dvc("repro", "prepare")
    (project.path / name).write_text(half)
    run = Run(project, "dvc", "repro", "prepare")
    assert run.end() != 0
    mend(project, run.output)
    rerun(project, "prepare")


@pytest.mark.slow
def test_preparing_data_survives_a_kill_in_each_of_its_stages(tmp_path: Path) -> None:
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
