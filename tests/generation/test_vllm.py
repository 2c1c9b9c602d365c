import importlib.util

import pytest
import torch

from tracekd.errors import TracekdError
from tracekd.generation.backends import Student, choose_backend
from tracekd.generation.backends.vllm import make, sampling_arguments
from tracekd.models.devices import Device, choose_device

INSTALLED = importlib.util.find_spec("vllm") is not None
CPU, GPU = (Device(torch.device(kind), torch.bfloat16) for kind in ("cpu", "cuda"))


def student(device):
    return Student(lambda _: pytest.fail("loaded"), device, None, frozenset({1}), 64)


def test_without_a_gpu_or_the_package_the_error_says_what_to_do():
    with pytest.raises(TracekdError, match=r"needs an NVIDIA GPU.*computes on cpu; use auto or"):
        make(student(CPU))
    if not INSTALLED:
        with pytest.raises(TracekdError, match=r"pip install -e '\.\[vllm\]'"):
            make(student(GPU))


def test_auto_is_vllm_only_for_a_large_job_on_a_gpu_where_it_is_installed(monkeypatch):
    assert choose_backend("vllm", CPU, 1) == "vllm"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert choose_backend("auto", CPU, 10**9) == "transformers"
    assert choose_backend("auto", GPU, 220 * 256) == "transformers"
    assert choose_backend("auto", GPU, 10_000 * 256) == "vllm"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert choose_backend("auto", GPU, 10**9) == "transformers"


def test_answers_end_at_our_stop_tokens_only_and_are_greedy():
    stops = {"stop_token_ids": [2, 7], "ignore_eos": True}
    expected = {"temperature": 0.0, "max_tokens": 5, "detokenize": False, **stops}
    assert sampling_arguments(5, frozenset({7, 2})) == expected


@pytest.mark.gpu
@pytest.mark.skipif(not INSTALLED, reason="vllm is not installed")
def test_answers_are_those_of_transformers_except_for_near_ties(tiny):
    from tracekd.generation.backends import transformers

    device = choose_device()
    if device.device.type != "cuda":
        pytest.skip("no NVIDIA GPU")
    answers = []
    for backend in (transformers.make, make):
        made = tiny("qwen3", device.dtype).to(device.device)
        given = Student(lambda _, model=made: model, device, None, frozenset({799}), 4096)
        answers.append(backend(given).generate([[5, number] for number in range(16)], [8] * 16))
    assert sum(a == b for a, b in zip(*answers, strict=True)) >= 12
