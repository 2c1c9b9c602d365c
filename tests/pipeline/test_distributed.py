"""Training by several processes, as the README says."""

import json

import pytest
from checkout import checkout, stages_run


@pytest.mark.slow
def test_several_processes_train_one_adapter_that_the_pipeline_goes_on_with(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACEKD_CHECKPOINT_SECONDS", "0")  # one after each step, by all together
    project = checkout(tmp_path)
    project.dvc("repro", "build-sft")
    project.run("torchrun", "--nproc-per-node", "2", "stages/train.py")
    project.dvc("commit", "-f", "train")
    assert stages_run(project.dvc("repro")) == ["infer", "analyze"]
    training = json.loads((project.path / "models/adapter/training.json").read_text())
    assert training["steps"] == 3  # 33 examples in batches of 8, two at a time
    losses = [validation["loss"] for validation in training["validation"]]
    assert losses[-1] < losses[0] - 0.01, losses
    assert not list((project.path / ".checkpoints").iterdir())
