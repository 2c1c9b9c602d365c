"""Every kind of causal language model is trained by the stage's own code."""

import json
import math

import pytest
from architectures import ARCHITECTURES
from training_runs import changed, exact, rows

from tracekd.config import ModelSpec, RandomModel
from tracekd.models.loading import load_base, load_encoder
from tracekd.training.run import train


def transformers_loss(spec, examples):
    """The loss that transformers computes of each example, averaged over supervised tokens."""
    import torch

    model, total, tokens = load_base(spec, exact()), 0.0, 0
    for example in examples:
        ids = torch.tensor([[*example.prompt_ids, *example.completion_ids]])
        labels = ids.clone()
        labels[:, : len(example.prompt_ids)] = -100
        with torch.no_grad():
            loss = float(model(input_ids=ids, labels=labels).loss)
        total += loss * len(example.completion_ids)
        tokens += len(example.completion_ids)
    return total / tokens


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_an_architecture_trains_and_its_loss_is_that_of_transformers(name, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRACEKD_DTYPE", "float32")
    entry = RandomModel(template="llama", config=ARCHITECTURES[name])
    spec = ModelSpec(name=name, random=entry, max_length=2048)
    data = {"train": rows(4), "validation": rows(2, "validation")}
    # PEFT adapts the experts of Qwen3-Next only without dropout.
    changes = {"epochs": 1, "evaluations": 1, "warmup": 0, "dropout": 0}
    params = changed(**changes)
    card = train(spec, data, params, 0, tmp_path / "student", tmp_path / "log")
    assert card["steps"] == 2
    manifest = json.loads((tmp_path / "student/training.json").read_text())
    before, after = manifest["validation"]
    examples = [load_encoder(spec).encode(row) for row in data["validation"]]
    assert before["loss"] == pytest.approx(transformers_loss(spec, examples), rel=1e-4)
    assert math.isfinite(after["loss"])
    assert after != before
    assert (tmp_path / "student/adapter_model.safetensors").is_file()
