"""Whatever step a run stops at, the next one ends with the bytes of an undisturbed run."""

import json
import os
import random
import shutil
import signal
from pathlib import Path

import pytest
from training_runs import PARAMS, rows, spec

from tracekd.files import sha256_file
from tracekd.training import checkpoints, loop
from tracekd.training.run import train

STEPS = 10
RANDOM = random.Random(0).sample(range(2, STEPS), 2)  # noqa: S311


class Killed(BaseException):
    """What a kill looks like from inside: nothing after it runs."""


@pytest.fixture(autouse=True)
def project(monkeypatch, tmp_path):
    monkeypatch.setenv("TRACEKD_CHECKPOINT_SECONDS", "0")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))
        patch.chdir(tmp_path_factory.mktemp("undisturbed"))
        return run()


def run(seed=5):
    folder = Path("run").resolve()
    shutil.rmtree(folder, ignore_errors=True)  # as DVC deletes outs before it runs a stage
    data = {"train": rows(10), "validation": rows(2, "validation")}
    train(spec(), data, PARAMS, seed, folder / "student", folder / "log")
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {str(path.relative_to(folder)): sha256_file(path) for path in files}


def interrupt(patch, step, action):
    """Do `action` in the middle of a step; return a list of the steps that are taken."""
    original, steps = loop.require_finite, []

    def checked(value, what, where, batch):
        if what == "loss" and where != "validation":
            steps.append(int(where.removeprefix("step ")))
            if steps[-1] == step and steps.count(step) == 1:
                action()
        original(value, what, where, batch)

    patch.setattr(loop, "require_finite", checked)
    return steps


def kill():
    raise Killed


@pytest.mark.parametrize("step", [1, *RANDOM, STEPS])
def test_killed_training_ends_with_the_bytes_of_an_undisturbed_run(
    project, undisturbed, monkeypatch, step
):
    with monkeypatch.context() as patch:
        steps = interrupt(patch, step, kill)
        with pytest.raises(Killed):
            run()
        assert run() == undisturbed
    assert steps == [*range(1, step + 1), *range(step, STEPS + 1)], "no step is repeated"
    assert list((project / ".checkpoints").iterdir()) == []


def test_a_kill_while_a_checkpoint_is_written_leaves_the_one_before(
    project, undisturbed, monkeypatch
):
    with monkeypatch.context() as patch:
        write, seen = checkpoints.write_json, []

        def cut(path, content):
            seen.append(path)
            if len(seen) == 3:
                raise Killed
            write(path, content)

        patch.setattr(checkpoints, "write_json", cut)
        with pytest.raises(Killed):
            run()
    assert [path.name for path in project.glob(".checkpoints/*/step-*")] == ["step-2"]
    assert run() == undisturbed


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_request_saves_a_checkpoint_and_exits_with_the_shells_status(
    project, undisturbed, monkeypatch, capsys, number
):
    monkeypatch.setenv("TRACEKD_CHECKPOINT_SECONDS", "1e9")
    with monkeypatch.context() as patch:
        interrupt(patch, 3, lambda: os.kill(os.getpid(), number))
        with pytest.raises(SystemExit) as left:
            run()
    assert left.value.code == 128 + number
    assert f"{number.name}: 3 of {STEPS} steps kept; run again to resume" in capsys.readouterr().err
    assert [path.name for path in project.glob(".checkpoints/*/step-*")] == ["step-3"]
    assert run() == undisturbed


def test_training_with_another_seed_starts_from_the_beginning(monkeypatch):
    with monkeypatch.context() as patch:
        steps = interrupt(patch, 4, kill)
        with pytest.raises(Killed):
            run()
        run(seed=6)
    assert steps == [1, 2, 3, 4, *range(1, STEPS + 1)]


def test_checkpoints_hold_tensors_and_json_only(project, monkeypatch):
    with monkeypatch.context() as patch:
        interrupt(patch, 3, kill)
        with pytest.raises(Killed):
            run()
    (folder,) = project.glob(".checkpoints/*/step-2")
    assert sorted(path.name for path in folder.iterdir()) == [
        "log", "state.json", "state.safetensors",
    ]  # fmt: skip
    state = json.loads((folder / "state.json").read_text())
    assert state["step"] == 2
    assert [group["lr"] for group in state["groups"]] == pytest.approx(
        state["schedule"]["_last_lr"]
    )


def test_an_unreadable_interval_is_refused(monkeypatch):
    monkeypatch.setenv("TRACEKD_CHECKPOINT_SECONDS", "soon")
    with pytest.raises(Exception, match="TRACEKD_CHECKPOINT_SECONDS: must be a number of seconds"):
        checkpoints.checkpoint_seconds()
