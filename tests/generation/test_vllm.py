import importlib.util

import pytest

from tracekd.errors import TracekdError
from tracekd.generation.backends import Student, make_backend, stop_ids
from tracekd.generation.backends.transformers import TransformersBackend
from tracekd.generation.backends.vllm import VllmBackend, engine, sampling, up_to_stop
from tracekd.models.devices import choose_device

INSTALLED = importlib.util.find_spec("vllm") is not None


def test_without_a_gpu_it_says_what_to_choose_instead(student, cpu):
    model, encoder = student()
    with pytest.raises(TracekdError, match=r"needs an NVIDIA GPU.*computes on cpu; use auto or"):
        make_backend("vllm", Student(model, encoder, frozenset(), cpu, 64))


@pytest.mark.skipif(INSTALLED, reason="vllm is installed")
def test_without_the_package_it_says_how_to_get_it():
    import torch

    from tracekd.models.devices import Device

    gpu = Device(torch.device("cuda"), torch.bfloat16)
    with pytest.raises(TracekdError, match=r"pip install -e '\.\[vllm\]'"):
        VllmBackend(Student(None, None, frozenset({1}), gpu, 64))


def test_room_is_asked_for_as_many_tokens_as_the_entry_says():
    assert engine("folder", "bfloat16", 64)["max_model_len"] == 64


def test_answers_end_at_our_stop_tokens_only_and_are_greedy():
    arguments = sampling(5, [2, 7])
    assert arguments["temperature"] == 0.0
    assert (arguments["max_tokens"], arguments["stop_token_ids"]) == (5, [2, 7])
    assert arguments["ignore_eos"] is True
    assert up_to_stop([4, 7, 3, 2], [2, 7]) == [4, 7]
    assert up_to_stop([4, 5], [2, 7]) == [4, 5]


@pytest.mark.gpu
@pytest.mark.skipif(not INSTALLED, reason="vllm is not installed")
def test_it_says_what_the_other_backend_says(student):
    device = choose_device()
    if device.device.type != "cuda":
        pytest.skip("no NVIDIA GPU")
    said = []
    for kind in (TransformersBackend, VllmBackend):
        model, encoder = student("tiny_qwen3", device.dtype)
        prompts = [encoder.prompt_ids("", f"Where is number {number}?") for number in range(16)]
        stops = stop_ids(model, encoder)
        backend = kind(Student(model.to(device.device), encoder, stops, device, 4096))
        said.append(backend.generate(prompts, [8] * 16))
    assert sum(a == b for a, b in zip(*said, strict=True)) >= 12
