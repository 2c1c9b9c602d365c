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


def stage(folder: Path, fault: str) -> subprocess.CompletedProcess[str]:
    script = folder / "stage.py"
    script.write_text(SCRIPT.format(stages=str(STAGES)))
    command = [sys.executable, str(script), fault]
    return subprocess.run(command, capture_output=True, text=True, check=False)
