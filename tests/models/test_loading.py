import json
from pathlib import Path

import pytest

from tracekd.config import ModelSpec, TrainParams, load_model
from tracekd.errors import TracekdError
from tracekd.models.devices import Device, choose_device
from tracekd.models.loading import (
    add_adapter,
    base_reference,
    load_base,
    load_encoder,
    load_student,
    save_adapter,
)

ROOT = Path(__file__).resolve().parents[2]
LORA = TrainParams(
    epochs=1,
    batch_size=2,
    learning_rate=1e-3,
    warmup=0,
    lora_rank=4,
    lora_alpha=8,
    lora_dropout=0.0,
)


@pytest.fixture(scope="module")
def exact():
    import torch

    return Device(torch.device("cpu"), torch.float32)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "model-cache"
    monkeypatch.setenv("TRACEKD_CACHE", str(folder))
    return folder


def test_adapter_covers_all_linear_layers_but_the_head_and_changes_nothing_yet(exact):
    import torch

    spec = load_model(ROOT / "models.yaml", "tiny_llama")
    ids = torch.arange(20)[None]
    base = load_base("tiny_llama", spec, exact)
    before = base(input_ids=ids).logits
    model = add_adapter(base, LORA, seed=1)
    adapted = {name.rsplit(".", 1)[-1] for name in model.targeted_module_names}
    assert adapted == {
        *("q_proj", "k_proj", "v_proj", "o_proj"),
        *("gate_proj", "up_proj", "down_proj"),
    }
    assert torch.equal(model(input_ids=ids).logits, before)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_saved_adapter_loads_by_peft_and_merges_to_the_same(name, exact, tmp_path, monkeypatch):
    import torch
    from peft import AutoPeftModelForCausalLM

    spec = load_model(ROOT / "models.yaml", name)
    model = add_adapter(load_base(name, spec, exact), LORA, seed=1)
    torch.manual_seed(0)
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.05)
    monkeypatch.chdir(tmp_path)
    # PEFT would ask the hub whether the adapter's folder, taken for a repository, has a tokenizer.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    save_adapter(model, adapter, base_reference(name, spec, tmp_path))
    assert sorted(path.name for path in adapter.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == f"models/base/{name}"
    ids = torch.arange(20)[None]
    wanted = model.eval()(input_ids=ids).logits
    loaded = AutoPeftModelForCausalLM.from_pretrained("adapter", dtype=torch.float32)
    torch.testing.assert_close(loaded(input_ids=ids).logits, wanted)
    student = load_student(name, spec, adapter, exact)
    torch.testing.assert_close(student(input_ids=ids).logits, wanted, atol=1e-5, rtol=1e-4)


def test_adapter_of_another_model_is_refused(exact, tmp_path):
    spec = load_model(ROOT / "models.yaml", "tiny_llama")
    wide = spec.random.model_copy(
        update={"config": {**spec.random.config, "hidden_size": 32, "head_dim": 8}}
    )
    other = spec.model_copy(update={"random": wide})
    save_adapter(add_adapter(load_base("o", other, exact), LORA, seed=1), tmp_path, "o")
    with pytest.raises(TracekdError, match="does not fit model tiny_llama"):
        load_student("tiny_llama", spec, tmp_path, exact)


def test_absent_adapter_names_the_stage_that_makes_it(exact, tmp_path):
    spec = load_model(ROOT / "models.yaml", "tiny_llama")
    with pytest.raises(TracekdError, match="holds no adapter; run the train stage"):
        load_student("tiny_llama", spec, tmp_path / "none", exact)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("gemma2", r"\(attn_logit_softcapping: 50.0 in its config.json\)"),
        ("gpt_oss", r"\(model_type: gpt_oss, weights model.layers.0.self_attn.sinks\)"),
    ],
)
def test_model_that_could_not_generate_is_refused_before_training(
    exact, uncommon, tmp_path, monkeypatch, name, told
):
    uncommon(name).save_pretrained(tmp_path)
    monkeypatch.setattr("tracekd.models.loading.locate", lambda *_: tmp_path)
    with pytest.raises(TracekdError, match=f"model mine: .*{told}, which .*; choose a model"):
        load_base("mine", ModelSpec(path="mine", max_length=64), exact)


def test_device_is_chosen_and_described():
    device = choose_device()
    described = device.describe()
    assert described["device"] in {"cpu", "cuda", "mps"}
    assert described["dtype"] in {"float32", "bfloat16"}
    assert device.peak_memory_bytes() >= 0
