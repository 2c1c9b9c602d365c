"""Which device is chosen, and what is said if a GPU cannot be used; no GPU is needed."""

import pytest
import torch

from tracekd.config import ModelSpec
from tracekd.errors import TracekdError
from tracekd.models import devices, loading
from tracekd.models.devices import Device, choose_device, gpu_fault

UNUSABLE = {"present": True, "built_for": "13.0", "usable": False, "visible": None}


@pytest.fixture
def unusable(monkeypatch):
    """A machine with an NVIDIA GPU, and this torch, which cannot use it."""
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(devices.shutil, "which", lambda _: "/usr/bin/nvidia-smi")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ({}, "which torch, built for CUDA 13.0, cannot use"),
        ({"built_for": None}, "torch is built without CUDA; choose a build"),
        ({"usable": True}, None),
        ({"present": False, "built_for": None}, None),
        ({"visible": ""}, None),
        ({"visible": "-1"}, None),
        ({"visible": "0,1"}, "CUDA 13 needs 580 or newer"),
    ],
)
def test_a_gpu_that_torch_cannot_use_has_a_reason_and_a_remedy(found, said) -> None:
    fault = gpu_fault(**UNUSABLE | found)
    assert (fault is None) == (said is None)
    for part in (said, "https://pytorch.org/get-started/locally", "TRACEKD_DEVICE=cpu"):
        assert fault is None or part in fault


def test_an_unusable_gpu_is_a_warning_and_a_large_model_an_error(
    unusable, monkeypatch, capsys, tmp_path
) -> None:
    device = choose_device()
    warning = capsys.readouterr().err
    assert warning.startswith("WARNING: computing on the cpu, because this machine has an NVIDIA")
    monkeypatch.setattr(loading, "locate", lambda _: tmp_path)
    monkeypatch.setattr(loading, "count_weights", lambda _: 1_000_000_001)
    spec = ModelSpec.model_validate({"name": "big", "path": "x", "max_length": 9})
    with pytest.raises(TracekdError, match="big is too large for a CPU, and this machine"):
        loading.load_base(spec, device)
    monkeypatch.setenv("TRACEKD_DEVICE", "cpu")
    assert choose_device() == Device(torch.device("cpu"), device.dtype)
    assert capsys.readouterr().err == ""


def test_weights_are_counted_in_all_files_without_reading_them(tmp_path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.zeros(3, 5), "b": torch.zeros(7)}, tmp_path / "model-1.safetensors")
    save_file({"c": torch.zeros(2, dtype=torch.bfloat16)}, tmp_path / "model-2.safetensors")
    assert loading.count_weights(tmp_path) == 24


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ("tpu", "must be cpu, cuda, cuda:N or mps, found 'tpu'"),
        ("cuda:x", "must be cpu, cuda, cuda:N or mps"),
        ("cuda:1", "no device cuda:1: this machine has an NVIDIA GPU, but torch is built without"),
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
    with pytest.raises(TracekdError, match="cuda:2: torch finds 2 of kind cuda on this machine"):
        choose_device()


def test_the_number_format_can_be_chosen(monkeypatch) -> None:
    monkeypatch.setenv("TRACEKD_DTYPE", "float32")
    assert choose_device().dtype == torch.float32
    monkeypatch.setenv("TRACEKD_DTYPE", "float16")
    with pytest.raises(TracekdError, match="must be float32 or bfloat16, found 'float16'"):
        choose_device()
