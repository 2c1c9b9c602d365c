import importlib.util
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from tracekd.errors import TracekdError
from tracekd.generation.backends import Student, choose_backend
from tracekd.generation.backends.vllm import make
from tracekd.generation.sampling import Sampler
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


def test_auto_is_vllm_only_for_a_large_job_on_a_gpu(monkeypatch, capsys):
    assert choose_backend("vllm", CPU, 1) == "vllm"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert choose_backend("auto", CPU, 10**9) == "transformers"
    assert choose_backend("auto", GPU, 220 * 256) == "transformers"
    assert choose_backend("auto", GPU, 20_000 * 256) == "vllm"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert not capsys.readouterr().out
    assert choose_backend("auto", GPU, 10**9) == "transformers"
    assert "vllm, faster for 1,000,000,000 new tokens, is not" in capsys.readouterr().out


@pytest.fixture
def vllm(monkeypatch, tmp_path):
    """Stand-ins for what we call of vLLM, which records it; no CPU can run the real one."""
    calls = SimpleNamespace(llm=None, generated=None, shut=[], saved=None)

    class LLM:
        def __init__(self, **arguments):
            calls.llm, calls.saved = arguments, [*Path(arguments["model"]).glob("*.safetensors")]
            core = SimpleNamespace(shutdown=lambda: calls.shut.append(1))
            self.llm_engine = SimpleNamespace(engine_core=core)

        def generate(self, prompts, settings, **_):
            calls.generated = prompts, settings
            one = SimpleNamespace(token_ids=(4, 1, 9))
            return [SimpleNamespace(outputs=[one]) for _ in prompts]

    main = ModuleType("vllm")
    main.LLM, main.SamplingParams = LLM, dict
    monkeypatch.setitem(sys.modules, "vllm", main)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return calls


def test_answers_end_at_our_stop_tokens_and_are_drawn_by_the_seed_of_their_row(vllm, tmp_path):
    made = make(replace(student(GPU), folder=tmp_path, sampler=Sampler(0.7, 0.9)))
    assert vllm.llm["model"] == str(tmp_path)
    assert made.generate([[5], [6, 7]], [3, 4], [10, 11]) == [[4, 1]] * 2
    prompts, settings = vllm.generated
    assert prompts == [{"prompt_token_ids": [5]}, {"prompt_token_ids": [6, 7]}]
    shared = {"temperature": 0.7, "top_p": 0.9, "stop_token_ids": [1]}
    shared |= {"ignore_eos": True, "detokenize": False}
    assert settings == [
        shared | {"seed": 10, "max_tokens": 3},
        shared | {"seed": 11, "max_tokens": 4},
    ]
    made.close()
    assert vllm.shut == [1]


def test_a_student_with_an_adapter_is_merged_into_a_folder_that_goes_when_it_is_loaded(
    vllm, tmp_path, tiny
):
    make(replace(student(GPU), load=lambda _: tiny()))
    assert [path.name for path in vllm.saved] == ["model.safetensors"]
    assert Path(vllm.llm["model"]).parent == tmp_path / ".checkpoints"
    assert not Path(vllm.llm["model"]).exists()


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
