"""What a grid asks of git and DVC: commits, refs of experiments, hashes of code."""

import os
import re
import subprocess
import sys
from pathlib import Path

from tracekd.config.reading import read_yaml
from tracekd.errors import TracekdError

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


def experiment_refs(root: Path, remote: str | None = None) -> dict[str, str]:
    """Return the refs of all experiments here, or of those on a remote, by name.

    Raises:
        TracekdError: if git does not know the remote or cannot reach it.
    """
    if remote is None:
        lines = git(root, "for-each-ref", "--format=%(objectname)\t%(refname)", "refs/exps")
    else:
        lines = git(root, "ls-remote", remote, "refs/exps/*")
    refs = (line.split("\t")[1] for line in lines.splitlines())
    return {match[1]: ref for ref in refs if (match := _EXPERIMENT.fullmatch(ref))}


def code_hashes(root: Path) -> dict[str, str]:
    """Return git's hash of every file and folder that a stage of dvc.yaml depends on, as committed.

    Outs of other stages are left out, and the settings files, of which entries count.
    """
    stages = read_yaml(root / "dvc.yaml")["stages"].values()
    settings = {"models.yaml", "datasets.yaml", "teachers.yaml", "params.yaml"}
    deps = {dep for stage in stages for dep in stage.get("deps", ()) if dep not in settings}
    listed = git(root, "ls-tree", "-z", "HEAD", "--", *sorted(deps))
    rows = (row.split("\t") for row in listed.split("\0") if row)
    return {path: entry.split(" ")[2] for entry, path in rows}


def remote_url(root: Path, remote: str) -> str:
    """Return the address of a git remote, absolute if it is a folder."""
    url = git(root, "remote", "get-url", remote).strip()
    return str((root / url).resolve()) if (root / url).exists() else url
