"""A copy of this project, with a tiny model and few questions, for real `dvc` commands."""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
#: What tests rely on, whatever params.yaml contains.
TINY = {
    "model": "tiny_llama",
    "dataset": "babi_sim",
    "trace_mode": "correct",
    "seed": 0,
    "data_seed": 7,
    "sample_seed": None,
    "sample_size": 22,
    "prepare": {"train": 33, "validation": 11, "test": 22},
    "train": {"epochs": 1, "batch_size": 8, "evaluations": 1, "compile": "never"},
    "infer": {"backend": "auto", "batch_size": 32, "max_new_tokens": 12},
    "probes": {"enabled": True, "limit": 5},
}
STAGES = ["prepare", "decompose", "teach", "build-sft", "train", "infer", "probe", "analyze"]


@dataclass(frozen=True)
class Project:
    """A checkout in a temporary folder, driven as a user drives it."""

    path: Path

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout; with `check`, a failure shows what was printed."""
        # Files, not pipes: a worker that outlives the command would keep a pipe open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            ended = subprocess.run(
                command, cwd=self.path, env=environment(), stdout=out, stderr=err, check=False
            )
            out.seek(0)
            err.seek(0)
            done = subprocess.CompletedProcess(command, ended.returncode, out.read(), err.read())
        if check and done.returncode:
            pytest.fail(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
        return done

    def dvc(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self.run("dvc", *arguments, check=check)

    def commit(self, message: str) -> None:
        self.run("git", "add", "-A")
        self.run("git", "commit", "-qm", message)


def environment() -> dict[str, str]:
    """The user's environment, with this interpreter's own commands first and no DVC variables."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("DVC_")}
    commands = Path(sys.executable).parent
    author = {
        f"GIT_{role}_{key}": "t@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for key in ("NAME", "EMAIL")
    }
    return kept | author | {"PATH": f"{commands}{os.pathsep}{kept['PATH']}", "COLUMNS": "200"}


def children_seconds() -> float:
    """Return the processor seconds of ended child processes."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def stages_run(done: subprocess.CompletedProcess[str]) -> list[str]:
    """Return the stages that a `dvc repro` or `dvc exp run` ran, in order."""
    return re.findall(r"Running stage '([\w-]+)'", done.stdout + done.stderr)


def checkout(target: Path) -> Project:
    """Copy this checkout's files as they are now, make the run small, commit."""
    files = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    ).stdout.split("\0")
    for name in filter(None, files):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    (target / "dvc.lock").unlink(missing_ok=True)
    params = yaml.safe_load((target / "params.yaml").read_text())
    for key, value in TINY.items():
        params[key] = params[key] | value if isinstance(value, dict) else value
    (target / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    project = Project(target)
    project.run("git", "init", "-q")
    project.commit("Small project")
    return project
