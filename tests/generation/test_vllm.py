import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch

from tracekd.errors import TracekdError
from tracekd.generation.backends import Student, choose_backend
from tracekd.generation.backends.vllm import loadable, make, sampling_arguments
from tracekd.generation.sampling import GREEDY, Sampler
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


def test_auto_is_vllm_only_for_a_large_job_on_a_gpu_and_says_so(monkeypatch, capsys):
    assert choose_backend("vllm", CPU, 1) == "vllm"
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name)
    assert choose_backend("auto", CPU, 10**9) == "transformers"
    assert choose_backend("auto", GPU, 220 * 256) == "transformers"
    assert choose_backend("auto", GPU, 20_000 * 256) == "vllm"
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    assert choose_backend("auto", GPU, 10**9) == "transformers"
    assert [line.partition("auto takes ")[2] for line in capsys.readouterr().out.splitlines()] == [
        "transformers (no NVIDIA GPU)",
        "transformers (at most 56,320 new tokens; vllm repays its start from 5,000,000 on)",
        "vllm (up to 5,120,000 new tokens)",
        "transformers (vllm, faster for 1,000,000,000 new tokens, is not installed)",
    ]


def test_answers_end_at_our_stop_tokens_only_and_are_drawn_by_the_seed_of_their_row():
    expected = {"stop_token_ids": [2, 7], "ignore_eos": True, "max_tokens": 5, "detokenize": False}
    expected |= {"temperature": 0.7, "top_p": 0.9, "seed": 11}
    assert sampling_arguments(5, frozenset({7, 2}), Sampler(0.7, 0.9), 11) == expected
    assert sampling_arguments(5, frozenset({7}), GREEDY, 0)["temperature"] == 0


PLAIN = {"r": 12, "use_dora": False, "modules_to_save": None}


@pytest.mark.parametrize(
    ("method", "adapter", "expected"),
    [
        (None, PLAIN, ("base", 16)),
        ("lora", PLAIN | {"r": 64}, ("base", 64)),
        ("full", None, ("student", 0)),
        ("none", None, ("base", 0)),
        # What vLLM does not know is merged first.
        ("lora", PLAIN | {"r": 300}, (None, 0)),
        ("lora", PLAIN | {"use_dora": True}, (None, 0)),
        ("qlora", PLAIN, (None, 0)),
        ("lora", None, (None, 0)),
    ],
)
def test_vllm_reads_the_folders_that_there_are(tmp_path, method, adapter, expected):
    if method is not None:
        (tmp_path / "training.json").write_text(json.dumps({"method": method}))
    if adapter is not None:
        (tmp_path / "adapter_config.json").write_text(json.dumps(adapter))
    folders = {"base": Path("base"), "student": tmp_path, None: None}
    given = replace(student(GPU), folder=tmp_path, base=Path("base"))
    assert loadable(given) == (folders[expected[0]], expected[1])
    assert loadable(student(GPU)) == (None, 0)
    assert loadable(replace(student(GPU), base=folders["base"])) == (folders["base"], 0)


@pytest.fixture
def vllm(monkeypatch, tmp_path):
    """Stand-ins for what we call of vLLM, which records it; no CPU can run the real one."""
    calls = SimpleNamespace(llm=None, generated=None, shut=[], saved=None)

    class LLM:
        def __init__(self, **arguments):
            calls.llm, calls.saved = arguments, [*Path(arguments["model"]).glob("*.safetensors")]
            core = SimpleNamespace(shutdown=lambda: calls.shut.append(1))
            self.llm_engine = SimpleNamespace(engine_core=core)

        def generate(self, prompts, settings, *, lora_request, **_):
            calls.generated = prompts, settings, lora_request
            one = SimpleNamespace(token_ids=(4, 1, 9))
            return [SimpleNamespace(outputs=[one]) for _ in prompts]

    request = ModuleType("vllm.lora.request")
    request.LoRARequest = lambda *arguments: arguments
    main = ModuleType("vllm")
    main.LLM, main.SamplingParams = LLM, dict
    for module in (main, ModuleType("vllm.lora"), request):
        monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return calls


def test_an_adapter_is_requested_for_each_prompt_and_close_ends_the_engine(vllm, tmp_path):
    (tmp_path / "adapter_config.json").write_text(json.dumps(PLAIN))
    made = make(replace(student(GPU), folder=tmp_path, base=tmp_path, sampler=Sampler(0.5)))
    assert made.generate([[5], [6, 7]], [3, 4], [10, 11]) == [[4, 1]] * 2
    prompts, settings, adapter = vllm.generated
    assert prompts == [{"prompt_token_ids": [5]}, {"prompt_token_ids": [6, 7]}]
    drawn = [(one["seed"], one["max_tokens"], one["temperature"]) for one in settings]
    assert drawn == [(10, 3, 0.5), (11, 4, 0.5)]
    assert adapter == ("student", 1, str(tmp_path))
    assert (vllm.llm["enable_lora"], vllm.llm["max_lora_rank"]) == (True, 16)
    made.close()
    assert vllm.shut == [1]


def test_other_students_are_merged_into_a_folder_that_goes_when_they_are_loaded(
    vllm, tmp_path, tiny
):
    make(replace(student(GPU), load=lambda _: tiny()))
    assert [path.name for path in vllm.saved] == ["model.safetensors"]
    assert Path(vllm.llm["model"]).parent == tmp_path / ".checkpoints"
    assert not Path(vllm.llm["model"]).exists()
    assert "enable_lora" not in vllm.llm


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
