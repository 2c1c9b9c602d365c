"""What DVC's own queue says of experiments that are not done."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tracekd.comparison.unfinished import unfinished
from tracekd.errors import TracekdError

QUEUE = Path(".dvc/tmp/exps/celery")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project with one stage, committed."""
    (tmp_path / "dvc.yaml").write_text("stages: {one: {cmd: echo 1, params: [seed]}}\n")
    (tmp_path / "params.yaml").write_text("seed: 0\n")
    run(tmp_path, "git", "init", "-q")
    dvc(tmp_path, "init", "-q")
    run(tmp_path, "git", "add", "-A")
    run(tmp_path, "git", "commit", "-q", "-m", "start")
    return tmp_path


def run(folder: Path, *command: str) -> None:
    env = {name: value for name, value in os.environ.items() if not name.startswith("DVC_")}
    who = {"NAME": "T", "EMAIL": "t@example.org"}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_{key}": value for key, value in who.items()}
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)


def dvc(folder: Path, *arguments: str) -> None:
    run(folder, sys.executable, "-m", "dvc", *arguments)


def test_queued_and_running_experiments_are_named(project: Path) -> None:
    assert unfinished(project) == {}
    for name, seed in (("first", "1"), ("second", "2")):
        dvc(project, "exp", "run", "--queue", "--name", name, "-S", f"seed={seed}")
    assert unfinished(project) == {"first": "queued", "second": "queued"}
    inside = project / "inside"
    inside.mkdir()
    assert unfinished(inside) == {"first": "queued", "second": "queued"}
    # What a worker does first with a task.
    taken = min((project / QUEUE / "broker/in").iterdir())
    taken.rename(project / QUEUE / "broker/processed" / taken.name)
    assert sorted(unfinished(project).values()) == ["queued", "running"]
    (project / QUEUE / "broker/processed" / taken.name).write_text("{")
    with pytest.raises(
        TracekdError, match=r"celery: DVC's queue cannot be read .*dvc queue status"
    ):
        unfinished(project)


def test_without_a_queue_nothing_is_said_and_dvc_is_not_loaded(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    code = (
        "import sys; from pathlib import Path\n"
        "from tracekd.comparison.unfinished import unfinished\n"
        "print(unfinished(Path()), 'dvc' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.stdout == "{} False\n"
    assert not (tmp_path / QUEUE).exists()
