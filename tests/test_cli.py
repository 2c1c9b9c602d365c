import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import errno, sys
from tracekd.cli import run
from tracekd.errors import TracekdError

def main(fault: str) -> None:
    if fault == "ours":
        raise RuntimeError("a fault of ours")
    if fault == "disk":
        raise OSError(errno.ENOSPC, "No space left on device", "data/x.parquet")
    if fault == "rust":
        raise ValueError("parquet: underlying IO error: No space left on device (os error 28)")
    if fault == "unreadable":
        raise PermissionError("Permission denied (os error 13): data/x.parquet")
    if fault == "address":
        raise ValueError("Bad address (os error 14)")
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


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("rust", "parquet: underlying IO error: No space left on device (os error 28); free some"),
        ("unreadable", "Permission denied (os error 13): data/x.parquet; give yourself permission"),
    ],
)
def test_the_systems_error_in_a_librarys_words_is_one_sentence(
    fault: str, words: str, tmp_path: Path
) -> None:
    done = stage(fault, tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: {words}")
    assert done.stderr.count("\n") == 1


def test_a_system_error_that_nobody_can_mend_keeps_its_traceback(tmp_path: Path) -> None:
    done = stage("address", tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr


def test_our_own_fault_keeps_its_traceback(tmp_path: Path) -> None:
    done = stage("ours", tmp_path)
    assert done.returncode == 1
    assert "Traceback" in done.stderr
