"""A grid on a real SLURM whose tasks are killed, put back and refused: every result arrives."""

import hashlib
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from checkout import Project, checkout, environment
from slurm_cluster import slurm_cluster
from toy import wait_for

GRID = {
    "axes": {"trace_mode": ["none", "correct", "incorrect"], "seed": "0..3"},
    "resources": {"default": {"gpus": 1, "cores": 1}},
    "launcher": "slurm",
}
#: What happens to four of the twelve in the middle of their training, once.
EVENTS = {
    "none-1": ["kill"],
    "correct-0": ["scancel", "--full", "--signal=KILL"],
    "incorrect-2": ["scontrol", "requeue"],
    "correct-3": ["scancel", "--batch", "--signal=USR1"],
}
HOOK = """
import os, pathlib, signal, subprocess, sys
flush, calls = os.fsync, []
def fsync(file):
    flush(file)
    calls.append(file)
    if len(calls) == 5 and pathlib.Path(sys.argv[0]).name == "train.py":
        disturb()
def disturb():
    import yaml
    params = yaml.safe_load(pathlib.Path("params.yaml").read_text())
    name = f"{{params['trace_mode']}}-{{params['seed']}}"
    event, mark = {events}.get(name), pathlib.Path({folder!r}, name)
    if event and not mark.exists():
        mark.touch()
        if event == ["kill"]:
            os.kill(os.getpid(), signal.SIGKILL)
        job = "{{SLURM_ARRAY_JOB_ID}}_{{SLURM_ARRAY_TASK_ID}}".format(**os.environ)
        subprocess.run([*event, job], check=False)
os.fsync = fsync
"""
#: All experiments one after the other, without DVC, in one process.
SERIAL = """
import hashlib, importlib, json, sys, yaml
from pathlib import Path
sys.path.insert(0, "stages")
names = ["prepare", "decompose", "teach", "build_sft", "train", "infer", "probe", "analyze"]
stages = [importlib.import_module(name) for name in names]
base, found = yaml.safe_load(Path("params.yaml").read_text()), {}
for trace_mode in sys.argv[1].split(","):
    for seed in range(4):
        params = base | {"trace_mode": trace_mode, "seed": seed}
        Path("params.yaml").write_text(yaml.safe_dump(params))
        for stage in stages[3 if found else 0:]:
            stage.main()
        found[f"{trace_mode}-{seed}"] = [
            hashlib.md5(Path(path).read_bytes()).hexdigest() for path in sys.argv[2:]
        ]
Path("serial.json").write_text(json.dumps(found))
"""
STUDENT = "models/student"
COMPARED = ["metrics/metrics.json", "metrics/details.json", f"{STUDENT}/adapter_model.safetensors"]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A checkout with a grid of twelve and two remotes; its stages find `HOOK`."""
    project = checkout(tmp_path / "project")
    params = yaml.safe_load((project.path / "params.yaml").read_text())
    params["train"]["batch_size"] = 4
    params["probes"]["enabled"] = False
    (project.path / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False))
    (project.path / "grid.yaml").write_text(yaml.safe_dump(GRID))
    project.run("git", "init", "--quiet", "--bare", str(tmp_path / "remote"))
    hook = tmp_path / "remote/hooks/pre-receive"
    hook.write_text("#!/bin/sh\ntest ! -e closed\n")
    hook.chmod(0o755)
    (tmp_path / "store").mkdir()
    project.run("git", "remote", "add", "origin", "../remote")
    project.dvc("remote", "add", "--default", "store", str(tmp_path / "store"))
    project.commit("Grid")
    (tmp_path / "hook").mkdir()
    text = HOOK.format(events=EVENTS, folder=str(tmp_path / "hook"))
    (tmp_path / "hook/sitecustomize.py").write_text(text)
    return project


def serial(project: Project, copy: Path) -> dict[str, list[str]]:
    """Return the hashes of each experiment's results, from a run without DVC and SLURM."""
    project.run("git", "clone", "--quiet", ".", str(copy))
    subprocess.run(
        [sys.executable, "-c", SERIAL, "none,correct,incorrect", *COMPARED],
        cwd=copy,
        env=environment(),
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return json.loads((copy / "serial.json").read_text())


def collected(project: Project) -> dict[str, list[str]]:
    """Return the hashes of each experiment's results in the checkout and its cache."""
    found = {}
    for line in project.run("git", "for-each-ref", "refs/exps").stdout.splitlines():
        commit = line.split()[0]
        lock = yaml.safe_load(project.run("git", "show", f"{commit}:dvc.lock").stdout)
        outs = {out["path"]: out["md5"] for s in lock["stages"].values() for out in s["outs"]}
        cached = project.path / ".dvc/cache/files/md5"
        listing = json.loads((cached / outs[STUDENT][:2] / outs[STUDENT][2:]).read_text())
        outs |= {f"{STUDENT}/{file['relpath']}": file["md5"] for file in listing}
        metrics = project.run("git", "show", f"{commit}:metrics/metrics.json").stdout
        assert hashlib.md5(metrics.encode()).hexdigest() == outs["metrics/metrics.json"]  # noqa: S324
        params = yaml.safe_load(project.run("git", "show", f"{commit}:params.yaml").stdout)
        name = f"{params['trace_mode']}-{params['seed']}"
        assert name not in found
        found[name] = [outs[path] for path in COMPARED]
    return found


def grid(project: Project, *command: str) -> str:
    return project.run(sys.executable, "stages/grid.py", *command).stdout


def notes(project: Project) -> list[dict[str, Any]]:
    """Return what tasks say of themselves."""
    return [json.loads(path.read_text()) for path in project.path.glob(".grid/*/state/*.json")]


@pytest.mark.slow
def test_every_experiment_of_a_disturbed_grid_arrives_as_in_a_serial_run(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRACEKD_DEVICE", "cpu")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    closed, store, away = tmp_path / "remote/closed", tmp_path / "store", tmp_path / "away"
    with slurm_cluster() as slurm:
        expected = serial(project, tmp_path / "serial")
        monkeypatch.setenv("SLURM_CONF", str(slurm.conf))
        monkeypatch.setenv("PYTHONPATH", str(tmp_path / "hook"))
        monkeypatch.setenv("TRACEKD_CHECKPOINT_SECONDS", "0")
        closed.touch()
        assert "12 experiments submitted" in grid(project, "submit")
        slurm.wait_until("RUNNING")
        assert "12 on its way, 0 to run" in grid(project, "plan")

        def refused(what: str) -> bool:
            return any(f"tries again: {what}" in note["message"] for note in notes(project))

        wait_for(lambda: refused("git push"), 600)
        slurm("scontrol", "update", "NodeName=two", "State=DRAIN", "Reason=test")
        closed.unlink()
        store.rename(away)
        store.touch()
        wait_for(lambda: refused("dvc push"), 600)
        store.unlink()
        away.rename(store)
        slurm("scontrol", "update", "NodeName=two", "State=RESUME")
        slurm.wait_until_empty(1800)

        # One failed; so did the cancelled one, unless its TERM came long enough before its KILL.
        found = grid(project, "status")
        assert "12 experiments: " in found
        assert "10 done" in found
        assert {path.name for path in (tmp_path / "hook").iterdir()} >= EVENTS.keys()
        assert "2 experiments submitted" in grid(project, "retry")
        slurm.wait_until_empty(600)
        assert "12 experiments: 12 done" in grid(project, "status")
        assert "12 of 12 experiments are here, data verified" in grid(project, "collect")
        assert "nothing to submit" in grid(project, "submit")
        assert slurm.jobs() == []
    assert collected(project) == expected
    assert len({adapter for *_, adapter in expected.values()}) == 12
