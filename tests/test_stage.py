import os
import subprocess
import sys
from pathlib import Path

import pytest

STAGES = Path(__file__).resolve().parents[1] / "stages"
SCRIPT = """
import errno, sys
sys.path.insert(0, {stages!r})
from _stage import run
from tracekd.errors import TracekdError

def main(fault: str) -> None:
    if fault == "user":
        raise TracekdError("file.txt:3: answer: found nothing")
    if fault == "sign":
        return print("a \\u2192 b")
    if fault == "disk":
        raise OSError(errno.ENOSPC, "No space left on device", "data/x.parquet")
    raise RuntimeError("a bug")

run(main)
"""


@pytest.mark.parametrize(
    ("fault", "message"),
    [
        ("user", "error: file.txt:3: answer: found nothing\n"),
        ("disk", "error: data/x.parquet: No space left on device\n"),
    ],
)
def test_what_the_user_can_fix_is_one_line(tmp_path: Path, fault: str, message: str) -> None:
    done = stage(tmp_path, fault)
    assert (done.returncode, done.stderr) == (1, message)


def test_a_bug_keeps_its_traceback(tmp_path: Path) -> None:
    done = stage(tmp_path, "ours")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError: a bug" in done.stderr


@pytest.mark.parametrize(
    ("folder", "warning"),
    [("plain [x] y", None), ("a#b", "hangs in a folder with #"), ("\u00fc", "beyond ASCII")],
)
def test_what_dvc_cannot_do_in_a_folder_is_said_before_a_run(tmp_path, folder, warning) -> None:
    root = tmp_path / folder
    root.mkdir()
    said = stage(root, "user", DVC_ROOT=str(root)).stderr
    assert said.count("warning: ") == (warning is not None)
    assert (warning or "") in said


def test_a_run_beside_a_shallow_clone_is_refused(tmp_path: Path) -> None:
    root = tmp_path / "clone"
    (root / ".git").mkdir(parents=True)
    (root / ".git/shallow").touch()
    in_it, beside = (stage(cwd, "user", DVC_ROOT=str(root)).stderr for cwd in (root, tmp_path))
    assert "warning: a shallow clone: `dvc exp run --queue`" in in_it
    assert beside.startswith("error: a shallow clone")
    assert "shallow" not in stage(root, "user").stderr  # run by hand


def test_signs_that_a_terminal_lacks_are_replaced(tmp_path: Path) -> None:
    done = stage(tmp_path, "sign", PYTHONIOENCODING="latin-1")
    assert (done.returncode, done.stdout) == (0, "a ? b\n")


def stage(folder: Path, fault: str, **environment: str) -> subprocess.CompletedProcess[str]:
    script = folder / "stage.py"
    script.write_text(SCRIPT.format(stages=str(STAGES)))
    kept = {key: value for key, value in os.environ.items() if key != "DVC_ROOT"}
    command = [sys.executable, str(script), fault]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env=kept | environment
    )
