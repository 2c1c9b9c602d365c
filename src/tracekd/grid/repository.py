"""What a grid asks of git and DVC: commits, experiments' refs, remotes."""

import os
import re
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from tracekd.config.reading import read_yaml
from tracekd.errors import TracekdError

_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/([^/]+)")


def run(
    folder: Path, *command: str, environment: dict[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command in a folder and return what it printed; it may fail."""
    return subprocess.run(  # noqa: S603
        command,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )


def git(folder: Path, *arguments: str) -> str:
    """Return what a git command printed.

    Raises:
        TracekdError: with its last line, if it failed.
    """
    done = run(folder, "git", *arguments, environment=os.environ | {"GIT_TERMINAL_PROMPT": "0"})
    return _printed(done, folder, f"git {arguments[0]}")


def dvc(folder: Path, *arguments: str, environment: dict[str, str] | None = None) -> str:
    """Return what a dvc command printed, as `git` does."""
    done = run(folder, sys.executable, "-m", "dvc", *arguments, environment=environment)
    return _printed(done, folder, f"dvc {arguments[0]}")


def _printed(done: "subprocess.CompletedProcess[str]", folder: Path, what: str) -> str:
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        reason = next((line for line in lines if re.match("(error|fatal|ERROR)", line)), None)
        raise TracekdError(f"{folder}: {what}: {reason or ' '.join(lines[-1:])}")
    return done.stdout


def require_clean(root: Path) -> None:
    """Raise unless what git tracks is as committed: tasks run the commit, not the files here."""
    if changed := git(root, "status", "--porcelain", "--untracked-files=no").splitlines():
        some = ", ".join(line[3:] for line in changed[:3])
        raise TracekdError(
            f"{len(changed)} files differ from the commit that tasks would run ({some}); commit "
            "them (after dvc repro: git commit -a), or restore them (git checkout .)"
        )


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

    Outs of other stages are left out, and the settings files, whose entries count.
    """
    stages = read_yaml(root / "dvc.yaml")["stages"].values()
    settings = {"models.yaml", "datasets.yaml", "teachers.yaml", "params.yaml"}
    deps = {dep for stage in stages for dep in stage.get("deps", ()) if dep not in settings}
    listed = git(root, "ls-tree", "-z", "HEAD", "--", *sorted(deps))
    rows = (row.split("\t") for row in listed.split("\0") if row)
    return {path: entry.split(" ")[2] for entry, path in rows}


def set_remote_urls(root: Path, clone: Path, remotes: Iterable[str]) -> None:
    """Give a clone the git remotes of the checkout, which may be relative to it."""
    for remote in remotes:
        url = git(root, "remote", "get-url", remote).strip()
        if (root / url).exists():
            url = str((root / url).resolve())
        git(clone, "remote", "set-url" if remote == "origin" else "add", remote, url)
