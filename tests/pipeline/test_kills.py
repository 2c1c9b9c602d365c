"""A stage killed in the middle, and run again, writes what an undisturbed run writes."""

import os
import random
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from checkout import Project, environment

#: Kills its process when it has flushed files to disk so many times: a step's checkpoint, a batch's
#: answers.
KILLER = """
import os, signal
flush, calls = os.fsync, []
def fsync(file):
    calls.append(file)
    if len(calls) == {moment}:
        os.kill(os.getpid(), signal.SIGKILL)
    flush(file)
os.fsync = fsync
"""
#: What a stage writes, and the partial results that a kill leaves.
WORK = {
    "train": ("models/student/adapter_model.safetensors", "train-*/step-*/state.json"),
    "infer": ("data/predictions.parquet", "infer-*/answers.jsonl"),
}


@pytest.mark.parametrize("stage", WORK)
def test_a_killed_stage_resumes_and_writes_the_same_bytes(
    baseline: Project, stage: str, tmp_path: Path
) -> None:
    out, kept = WORK[stage]
    command = (sys.executable, f"stages/{stage}.py")
    project = Project(tmp_path / "project")
    shutil.copytree(baseline.path, project.path, symlinks=True)
    if stage == "infer":  # more than one batch
        params = yaml.safe_load((project.path / "params.yaml").read_text())
        params["infer"]["batch_size"] = 4
        (project.path / "params.yaml").write_text(yaml.safe_dump(params))
        (project.path / out).unlink()
        project.run(*command)
    expected = (project.path / out).read_bytes()
    (project.path / out).unlink()  # DVC deletes outs before it runs a stage

    moment = random.Random(stage).randint(4, 6)  # noqa: S311
    (tmp_path / "sitecustomize.py").write_text(KILLER.format(moment=moment))
    settings = {"PYTHONPATH": str(tmp_path), "TRACEKD_CHECKPOINT_SECONDS": "0"}
    killed = subprocess.run(
        command, cwd=project.path, env=os.environ | environment() | settings, check=False
    )
    assert killed.returncode == -signal.SIGKILL
    assert any(file.stat().st_size for file in (project.path / ".checkpoints").glob(kept))
    assert not (project.path / out).exists()

    project.run(*command)
    assert (project.path / out).read_bytes() == expected
    assert list((project.path / ".checkpoints").iterdir()) == []
