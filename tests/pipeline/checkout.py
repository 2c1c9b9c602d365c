"""A copy of this project, with a tiny model and few questions, for real `dvc` commands.

    python tests/pipeline/checkout.py FOLDER [EXPERIMENT]

makes one in a folder and runs it.
"""

import json
import multiprocessing
import os
import re
import resource
import runpy
import shutil
import signal
import subprocess
import sys
import tempfile
from contextlib import redirect_stdout
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
    "infer": {"backend": "auto", "batch_size": 4, "max_new_tokens": 12},
    "probes": {"enabled": True, "limit": 5},
}
#: The settings of the experiment `incorrect`: another regime, without probes.
OTHER = ("-S", "trace_mode=incorrect", "-S", "probes.enabled=false")
#: Writes the files that each stage's process imported, beside this file.
TRACER = """
import atexit, json, os, pathlib, sys
def write():
    script = pathlib.Path(getattr(sys, "argv", [""])[0])
    if script.parent.name == "stages":
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        note = pathlib.Path(__file__).with_name(f"{script.name}-{os.getpid()}.json")
        note.write_text(json.dumps([file for file in files if file]))
atexit.register(write)
"""
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

    def run_warm(self, stage: str, *arguments: str, flushes: int | None = None) -> tuple[int, str]:
        """Run a stage in a process that has imported torch already; return its status and output.

        With `flushes` it is killed when it has flushed files to disk so many times: a step's
        checkpoint, a batch's answers.
        """
        started = multiprocessing.get_context("forkserver")
        started.set_forkserver_preload(["torch", "transformers", "peft"])
        out = self.path / ".git/printed"
        command = [f"stages/{stage}.py", *arguments]
        given = (self.path, environment(), command, out, flushes)
        process = started.Process(target=_run_script, args=given)
        process.start()
        process.join()
        assert process.exitcode is not None
        return process.exitcode, out.read_text()

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


def _run_script(
    folder: Path, variables: dict[str, str], command: list[str], out: Path, flushes: int | None
) -> None:
    """Be a process that runs a script as `python COMMAND` does in a folder."""
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(variables)
    sys.argv = command
    sys.path.insert(0, str(Path(command[0]).resolve().parent))
    flush, calls = os.fsync, []

    def fsync(file: int) -> None:
        calls.append(file)
        if len(calls) == flushes:
            os.kill(os.getpid(), signal.SIGKILL)
        flush(file)

    os.fsync = fsync
    with out.open("w") as printed, redirect_stdout(printed):
        runpy.run_path(command[0], run_name="__main__")


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


def shared_runs(folder: Path, names: list[str]) -> dict[str, list[str]]:
    """Run the pipeline in a checkout in `folder`, then the experiments `names`; return the stages.

    What the stages of the first run imported is listed in `folder/imports`.
    """
    project = checkout(folder / "project")
    (folder / "imports").mkdir()
    (folder / "imports/sitecustomize.py").write_text(TRACER)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(folder / "imports"), prepend=os.pathsep)
        stages = {"repro": stages_run(project.dvc("repro"))}
    project.commit("First run")
    for name in names:
        stages[name] = stages_run(project.dvc("exp", "run", "--temp", "-n", name, *OTHER))
    return stages


if __name__ == "__main__":
    target = Path(sys.argv[1])
    found = shared_runs(target, sys.argv[2:])
    (target / "stages.json").write_text(json.dumps(found))
