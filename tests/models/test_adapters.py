import json

import pytest
import torch
from training_runs import changed, exact, spec

from tracekd.config import AdapterSource, HubModel, ModelSpec
from tracekd.errors import TracekdError
from tracekd.models import sources
from tracekd.models.adapters import add_adapter, locate_start, save_adapter
from tracekd.models.devices import Device
from tracekd.models.loading import load_base
from tracekd.models.sources import pin_start

pytestmark = pytest.mark.usefixtures("model_cache")
PARAMS = changed(dropout=0)
EXACT = exact()
IDS = torch.arange(20)[None]


@pytest.fixture(autouse=True)
def project(monkeypatch, tmp_path):
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))


def params(start=None, **lora):
    return PARAMS.model_copy(update={"start": start, "lora": PARAMS.lora.model_copy(update=lora)})


@pytest.fixture
def start(tmp_path):
    """The folder and the source of an adapter on two kinds of modules, with known weights."""
    model = add_adapter(load_base(spec(), EXACT), params(targets=["q_proj", "v_proj"]), seed=7)
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.ones_(weight)
    folder = tmp_path / "start"
    folder.mkdir()
    save_adapter(model, folder, spec())
    settings = tmp_path / "params.yaml"
    settings.write_text("train:\n  method: lora\n  start: null  # none\n  epochs: 1\nseed: 1\n")
    sha256 = pin_start(settings, "start")
    assert settings.read_text().splitlines() == [
        *("train:", "  method: lora", "  start:       # none"),
        *("    path: start", f"    sha256: {sha256}"),
        *("  epochs: 1", "seed: 1"),
    ]
    return folder, AdapterSource(path="start", sha256=sha256)


def change(folder, **values):
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | values))
    return AdapterSource(path="start", sha256=pin_start(folder.parent / "params.yaml", "start"))


def test_adapter_covers_all_linear_layers_but_the_head_and_changes_nothing_yet():
    base = load_base(spec(), EXACT)
    before = base(input_ids=IDS).logits
    model = add_adapter(base, PARAMS, seed=1)
    adapted = {name.rsplit(".", 1)[-1] for name in model.targeted_module_names}
    assert adapted == {f"{name}_proj" for name in ("q", "k", "v", "o", "gate", "up", "down")}
    assert torch.equal(model(input_ids=IDS).logits, before)


def test_adapter_is_in_fp32_on_a_base_in_bf16_and_drawn_from_the_seed():
    half = Device(torch.device("cpu"), torch.bfloat16)
    made = [add_adapter(load_base(spec(), half), PARAMS, seed).state_dict() for seed in (1, 1, 2)]
    drawn = [key for key in made[0] if "lora_A" in key]
    assert {made[0][key].dtype for key in drawn} == {torch.float32}
    assert made[0]["base_model.model.model.embed_tokens.weight"].dtype == torch.bfloat16
    assert all(torch.equal(made[0][key], made[1][key]) for key in drawn)
    assert not any(torch.equal(made[0][key], made[2][key]) for key in drawn)


def test_the_options_of_the_settings_are_those_of_the_adapter():
    chosen = params(rank=9, alpha=6, dropout=0.25, targets=["q_proj"], rslora=True, dora=True)
    model = add_adapter(load_base(spec(), EXACT), chosen, seed=1)
    assert len(model.targeted_module_names) == 2
    layer = model.get_submodule(f"base_model.model.{model.targeted_module_names[0]}")
    assert layer.scaling["default"] == 6 / 9**0.5  # alpha / sqrt(rank)
    assert layer.lora_dropout["default"].p == 0.25
    assert "default" in layer.lora_magnitude_vector


@pytest.mark.parametrize(
    ("lora", "message"),
    [
        ({"targets": ["q_proj", "vproj"]}, r"targets: the model has no module 'vproj'; did you "),
        ({"targets": ["proj"]}, r"no module 'proj'.* Known: down_proj, gate_proj, k_proj, lm_head"),
        ({"targets": ["norm"], "dora": True}, r"train\.lora: not possible here: .*LlamaRMSNorm"),
        ({"targets": ["lm_head"]}, "not possible here: Model has `tie_word_embeddings=True` and"),
        ({"targets": ["embed_tokens"]}, "not possible here: Model has `tie_word_embeddings"),
    ],
)
def test_what_cannot_be_adapted_is_named(lora, message):
    with pytest.raises(TracekdError, match=message):
        add_adapter(load_base(spec(), EXACT), params(**lora), seed=1)


@pytest.mark.parametrize(
    ("source", "base", "revision"),
    [
        ({"hub": {"repo": "org/model", "revision": "a" * 40}}, "org/model", "a" * 40),
        ({"path": "weights/mine", "sha256": "0" * 64}, "weights/mine", None),
    ],
)
def test_adapter_names_its_base_as_models_yaml_does(tmp_path, source, base, revision):
    model = add_adapter(load_base(spec(), EXACT), PARAMS, seed=1)
    entry = ModelSpec.model_validate({"name": "mine", "max_length": 64, **source})
    save_adapter(model, tmp_path, entry)
    config = json.loads((tmp_path / "adapter_config.json").read_text())
    assert (config["base_model_name_or_path"], config["revision"]) == (base, revision)


def test_training_continues_from_a_pinned_adapter_with_the_dropout_of_the_settings(start):
    folder, source = start
    chosen = params(source, targets=["v_proj", "q_proj"], dropout=0.5)
    assert locate_start(spec(), chosen) == folder
    model = add_adapter(load_base(spec(), EXACT), chosen, 1, folder)
    weights = {key: weight for key, weight in model.named_parameters() if weight.requires_grad}
    assert len(weights) == 8
    assert all((weight == 1).all() for key, weight in weights.items() if "lora_B" in key)
    other = add_adapter(load_base(spec(), EXACT), chosen, 7).state_dict()
    assert all(torch.equal(weights[key], other[key]) for key in weights if "lora_A" in key)
    assert model.peft_config["default"].lora_dropout == 0.5
    assert locate_start(spec(), PARAMS) is None


def test_an_adapter_on_the_hub_is_fetched_at_its_commit_without_other_files(start, monkeypatch):
    fetched = []
    monkeypatch.setattr(sources, "fetch_repository", lambda *args: fetched.append(args) or start[0])
    hub = {"repo": "user/adapter", "revision": "a" * 40}
    assert locate_start(spec(), params(AdapterSource(**hub))) == start[0]
    files = ["adapter_config.json", "adapter_model.safetensors"]
    assert fetched == [("model", HubModel(**hub), "params.yaml: train.start", files)]
    (start[0] / "adapter_model.safetensors").unlink()
    with pytest.raises(TracekdError, match=r"has no adapter_config\.json or no adapter_model\."):
        locate_start(spec(), params(AdapterSource(**hub)))


def test_an_adapter_with_other_options_is_refused_with_those_to_set(start):
    folder, source = start
    wrong = params(source, rank=8, dora=True)
    remedy = r"set train\.lora\.rank: 4, train\.lora\.dora: false"
    with pytest.raises(TracekdError, match=remedy):
        locate_start(spec(), wrong)
    with pytest.raises(TracekdError, match=r"set train\.lora\.targets: \[q_proj, v_proj\]"):
        add_adapter(load_base(spec(), EXACT), params(source), 1, folder)


def test_an_adapter_of_another_model_or_kind_is_refused(start):
    folder, source = start
    other = r"is an adapter of models/base/tiny_llama, not of model tiny_qwen3 \(models/base/tiny"
    with pytest.raises(TracekdError, match=other):
        locate_start(spec("tiny_qwen3"), params(source))
    for change_, message in (
        ({"base_model_name_or_path": "org/model"}, "an adapter of org/model, not of model tiny_ll"),
        ({"peft_type": "IA3"}, "is an adapter of type IA3; choose a LoRA adapter"),
    ):
        with pytest.raises(TracekdError, match=message):
            locate_start(spec(), params(change(folder, **change_)))
        change(folder, base_model_name_or_path="models/base/tiny_llama")
    config = {**spec().random.config, "hidden_size": 32, "head_dim": 8}
    wide = spec().model_copy(update={"random": spec().random.model_copy(update={"config": config})})
    chosen = params(source, targets=["q_proj", "v_proj"])
    with pytest.raises(TracekdError, match="start does not fit the model and train"):
        add_adapter(load_base(wide, EXACT), chosen, 1, folder)


def test_an_adapter_that_changed_or_is_absent_is_refused(start):
    folder, source = start
    (folder / "adapter_config.json").write_text("{}")
    with pytest.raises(TracekdError, match=r"pins: .*--pin train\.start --path start"):
        locate_start(spec(), params(source))
    (folder / "adapter_config.json").unlink()
    with pytest.raises(TracekdError, match=r"train\.start: path: .* has no adapter_config\.json"):
        locate_start(spec(), params(source))
