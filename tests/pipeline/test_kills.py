"""A stage killed in the middle, and run again, writes what an undisturbed run writes."""

import random
import shutil
import signal
from pathlib import Path

import pytest
from checkout import Project

#: What a stage writes, and the partial results that a kill leaves.
WORK = {
    "train": ("models/student/adapter_model.safetensors", "train-*/step-*/state.json"),
    "infer": ("data/predictions.parquet", "infer-*/answers.jsonl"),
}


@pytest.mark.parametrize("stage", WORK)
def test_a_killed_stage_resumes_and_writes_the_same_bytes(
    baseline: Project, stage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out, kept = WORK[stage]
    project = Project(tmp_path / "project")
    shutil.copytree(baseline.path, project.path, symlinks=True)
    expected = (project.path / out).read_bytes()
    (project.path / out).unlink()  # DVC deletes outs before it runs a stage

    monkeypatch.setenv("TRACEKD_CHECKPOINT_SECONDS", "0")
    moment = random.Random(stage).randint(4, 6)  # noqa: S311
    status, _ = project.run_warm(stage, flushes=moment)
    assert status == -signal.SIGKILL
    assert any(file.stat().st_size for file in (project.path / ".checkpoints").glob(kept))
    assert not (project.path / out).exists()

    monkeypatch.delenv("TRACEKD_CHECKPOINT_SECONDS")
    assert project.run_warm(stage)[0] == 0
    assert (project.path / out).read_bytes() == expected
    assert list((project.path / ".checkpoints").iterdir()) == []
