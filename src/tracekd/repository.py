"""What git and DVC say of a project: output of commands, names of experiments, cached files."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

from tracekd.errors import TracekdError

#: What DVC keeps of a successful experiment; queued and failed ones have other refs.
_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/([^/]+)")


def git(folder: Path, *arguments: str) -> str:
    """Return what a git command printed.

    Raises:
        TracekdError: with the line that says why, if it failed.
    """
    return _run(folder, {"GIT_TERMINAL_PROMPT": "0"}, "git", *arguments)


def dvc(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Return what a dvc command printed, as `git` does; variables of `environment` are added."""
    return _run(folder, environment or {}, sys.executable, "-m", "dvc", *arguments)


def _run(folder: Path, environment: dict[str, str], *command: str) -> str:
    done = subprocess.run(  # noqa: S603
        command,
        cwd=folder,
        env=os.environ | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        fault = next((line for line in lines if re.match("error|fatal|ERROR", line)), None)
        what = " ".join(command).removeprefix(f"{sys.executable} -m ")
        raise TracekdError(f"{what:.60}: {fault or ' '.join(lines[-1:])}")
    return done.stdout


def experiment_name(ref: str) -> str | None:
    """Return the name of the experiment that a git ref keeps; None if it keeps none."""
    match = _EXPERIMENT.fullmatch(ref)
    return match[1] if match else None


def find_cache(root: Path) -> Path:
    """Return the folder of DVC's cache, wherever its configuration puts it.

    Raises:
        TracekdError: if `root` is not a DVC project.
    """
    return (root / dvc(root, "cache", "dir").strip()).resolve()


def cached(cache: Path, md5: str) -> Path:
    """Return where DVC's cache keeps content with this MD5; that of a folder's list has ".dir"."""
    return cache / "files/md5" / md5[:2] / md5[2:]


def file_md5(file: Path) -> str:
    """Return the MD5 of a file, by which DVC's cache names content."""
    with file.open("rb") as source:
        return hashlib.file_digest(source, lambda: hashlib.md5(usedforsecurity=False)).hexdigest()
