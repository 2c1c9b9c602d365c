import subprocess
import sys
from pathlib import Path

SCRIPT = """
import errno, sys
from tracekd.cli import run
from tracekd.errors import TracekdError

def main(fault: str) -> None:
    if fault == "ours":
        raise RuntimeError("a fault of ours")
    if fault == "disk":
        raise OSError(errno.ENOSPC, "No space left on device", "data/x.parquet")
    raise TracekdError("file.txt:3: answer: found nothing")

run(main)
"""


def stage(fault: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    script = tmp_path / "stage.py"
    script.write_text(SCRIPT)
    return subprocess.run(
        [sys.executable, str(script), fault], capture_output=True, text=True, check=False
    )


def test_a_users_fault_is_one_sentence(tmp_path: Path) -> None:
    done = stage("user", tmp_path)
    assert (done.returncode, done.stderr) == (1, "error: file.txt:3: answer: found nothing\n")


def test_a_full_disk_is_one_sentence(tmp_path: Path) -> None:
    done = stage("disk", tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: data/x.parquet: No space left on device; free some space")


def test_our_own_fault_keeps_its_traceback(tmp_path: Path) -> None:
    done = stage("ours", tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
