import json
from pathlib import Path

import pytest
import torch
from peft import AutoPeftModelForCausalLM

from tracekd.config import LoraParams, ModelSpec, TrainParams, load_model
from tracekd.errors import TracekdError
from tracekd.models.devices import Device, choose_device
from tracekd.models.loading import add_adapter, load_base, load_student, save_student

ROOT = Path(__file__).resolve().parents[2]
LORA = TrainParams(
    epochs=1, batch_size=2, learning_rate=1e-3, warmup=0,
    lora=LoraParams(rank=4, alpha=8, dropout=0),
)  # fmt: skip


@pytest.fixture(scope="module")
def exact():
    return Device(torch.device("cpu"), torch.float32)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "model-cache"
    monkeypatch.setenv("TRACEKD_CACHE", str(folder))
    return folder


def spec(name="tiny_llama"):
    return load_model(ROOT / "models.yaml", name)


def test_adapter_covers_all_linear_layers_but_the_head_and_changes_nothing_yet(exact):
    ids = torch.arange(20)[None]
    base = load_base(spec(), exact)
    before = base(input_ids=ids).logits
    model = add_adapter(base, LORA, seed=1)
    adapted = {name.rsplit(".", 1)[-1] for name in model.targeted_module_names}
    assert adapted == {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}
    assert torch.equal(model(input_ids=ids).logits, before)


def test_adapter_is_in_fp32_on_a_base_in_bf16_and_drawn_from_the_seed():
    half = Device(torch.device("cpu"), torch.bfloat16)
    made = [add_adapter(load_base(spec(), half), LORA, seed).state_dict() for seed in (1, 1, 2)]
    drawn = [key for key in made[0] if "lora_A" in key]
    assert {made[0][key].dtype for key in drawn} == {torch.float32}
    assert made[0]["base_model.model.model.embed_tokens.weight"].dtype == torch.bfloat16
    assert all(torch.equal(made[0][key], made[1][key]) for key in drawn)
    assert not any(torch.equal(made[0][key], made[2][key]) for key in drawn)


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_saved_adapter_loads_by_peft_and_merges_to_the_same(name, exact, tmp_path, monkeypatch):
    model = add_adapter(load_base(spec(name), exact), LORA, seed=1)
    torch.manual_seed(0)
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.05)
    monkeypatch.chdir(tmp_path)
    # PEFT would ask the hub whether the adapter's folder, taken for a repository, has a tokenizer.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    save_student(model, adapter, spec(name))
    files = {"adapter_config.json", "adapter_model.safetensors"}
    assert {path.name for path in adapter.iterdir()} == files
    config = json.loads((adapter / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == f"models/base/{name}"
    ids = torch.arange(20)[None]
    expected = model.eval()(input_ids=ids).logits
    loaded = AutoPeftModelForCausalLM.from_pretrained("adapter", dtype=torch.float32)
    torch.testing.assert_close(loaded(input_ids=ids).logits, expected)
    student = load_student(spec(name), adapter, exact)
    torch.testing.assert_close(student(input_ids=ids).logits, expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("source", "base", "revision"),
    [
        ({"hub": {"repo": "org/model", "revision": "a" * 40}}, "org/model", "a" * 40),
        ({"path": "weights/mine", "sha256": "0" * 64}, "weights/mine", None),
    ],
)
def test_adapter_names_its_base_as_models_yaml_does(exact, tmp_path, source, base, revision):
    model = add_adapter(load_base(spec(), exact), LORA, seed=1)
    entry = ModelSpec.model_validate({"name": "mine", "max_length": 64, **source})
    save_student(model, tmp_path, entry)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (base, revision)


def test_adapter_that_is_absent_or_of_another_model_is_refused(exact, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    llama = spec()
    config = {**llama.random.config, "hidden_size": 32, "head_dim": 8}
    wide = llama.random.model_copy(update={"config": config})
    other = llama.model_copy(update={"random": wide})
    save_student(add_adapter(load_base(other, exact), LORA, seed=1), tmp_path, other)
    with pytest.raises(TracekdError, match="does not fit model tiny_llama"):
        load_student(llama, tmp_path, exact)
    with pytest.raises(TracekdError, match="contains no adapter; run the train stage"):
        load_student(llama, tmp_path / "none", exact)


def test_the_number_format_can_be_chosen(monkeypatch):
    monkeypatch.setenv("TRACEKD_DTYPE", "float32")
    assert choose_device().dtype == torch.float32
    monkeypatch.setenv("TRACEKD_DTYPE", "float16")
    with pytest.raises(TracekdError, match="must be float32 or bfloat16, found 'float16'"):
        choose_device()
