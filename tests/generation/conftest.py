from pathlib import Path

import pytest

from tracekd.config import load_model
from tracekd.models.devices import Device
from tracekd.models.loading import load_base, load_encoder

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))


@pytest.fixture
def student():
    """Return a function that makes the same talkative tiny model each time, and its encoder."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)

    def make(name="tiny_llama", dtype=torch.float32):
        spec = load_model(ROOT / "models.yaml", name)
        model = load_base(name, spec, Device(torch.device("cpu"), dtype))
        torch.manual_seed(0)
        for key, weight in model.named_parameters():
            if "proj" in key:  # as built, the layers are too weak to say anything but one token
                torch.nn.init.normal_(weight, std=0.3)
        return model, load_encoder(name, spec)

    yield make
    torch.set_num_threads(threads)


@pytest.fixture
def cpu():
    import torch

    return Device(torch.device("cpu"), torch.float32)
