"""Which device is chosen, and what is said if a GPU cannot be used; no GPU is needed."""

import pytest
import torch

from tracekd.config import ModelSpec
from tracekd.errors import TracekdError
from tracekd.models import devices, loading
from tracekd.models.devices import Device, choose_device


@pytest.fixture
def unusable(monkeypatch):
    """A machine with an NVIDIA GPU, and this torch, which cannot use it."""
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(devices.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize("visible", ["", "-1"])
def test_a_gpu_that_was_hidden_on_purpose_is_no_fault(
    unusable, monkeypatch, capsys, visible
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert choose_device().unused_gpu is None
    assert capsys.readouterr().err == ""


def test_an_unusable_gpu_is_a_warning_and_a_large_model_an_error(
    unusable, monkeypatch, capsys, tmp_path
) -> None:
    device = choose_device()
    warning = capsys.readouterr().err
    assert warning.startswith("WARNING: computing on the cpu, because this machine has an NVIDIA")
    for part in ("https://pytorch.org/get-started/locally", "TRACEKD_DEVICE=cpu"):
        assert part in warning
    monkeypatch.setattr(loading, "locate", lambda _: tmp_path)
    with (tmp_path / "model.safetensors").open("wb") as file:
        file.truncate(2_000_000_001)  # a sparse file
    spec = ModelSpec.model_validate({"name": "big", "path": "x", "max_length": 9})
    with pytest.raises(TracekdError, match="big is too large for a CPU, and this machine"):
        loading.load_base(spec, device)
    monkeypatch.setenv("TRACEKD_DEVICE", "cpu")
    assert choose_device() == Device(torch.device("cpu"), device.dtype)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("tpu", "must be cpu, cuda, cuda:N or mps, found 'tpu'"),
        ("cuda:x", "must be cpu, cuda, cuda:N or mps"),
        ("cuda:1", "found 'cuda:1'; this machine has an NVIDIA GPU, which torch"),
    ],
)
def test_a_device_that_is_asked_for_and_absent_is_refused(
    unusable, monkeypatch, asked, message
) -> None:
    monkeypatch.setenv("TRACEKD_DEVICE", asked)
    with pytest.raises(TracekdError, match=message):
        choose_device()


def test_a_second_gpu_can_be_asked_for(monkeypatch) -> None:
    used = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: True)
    monkeypatch.setattr(torch.cuda, "set_device", used.append)
    for asked, index in (("cuda:1", 1), ("cuda", 0)):
        monkeypatch.setenv("TRACEKD_DEVICE", asked)
        assert choose_device() == Device(torch.device("cuda", index), torch.bfloat16)
        assert used.pop() == torch.device("cuda", index)
    monkeypatch.setenv("TRACEKD_DEVICE", "cuda:2")
    with pytest.raises(TracekdError, match="found 'cuda:2'; torch finds 2 of kind cuda"):
        choose_device()


def test_the_number_format_can_be_chosen(monkeypatch) -> None:
    monkeypatch.setenv("TRACEKD_DTYPE", "float32")
    assert choose_device().dtype == torch.float32
    monkeypatch.setenv("TRACEKD_DTYPE", "float16")
    with pytest.raises(TracekdError, match="must be float32 or bfloat16, found 'float16'"):
        choose_device()
