import json

import pytest
import torch
from peft import AutoPeftModelForCausalLM, PeftModel
from training_runs import changed, exact, spec
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig

from tracekd.errors import TracekdError
from tracekd.models import loading
from tracekd.models.adapters import add_adapter
from tracekd.models.devices import Device
from tracekd.models.loading import load_base, load_student, model_folder, save_student
from tracekd.models.sources import locate

pytestmark = pytest.mark.usefixtures("model_cache")
PARAMS = changed(dropout=0)
EXACT = exact()
IDS = torch.arange(20)[None]
HALF = Device(torch.device("cpu"), torch.bfloat16)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder `student` in a project root that is the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "student").mkdir()
    return tmp_path / "student"


def trained(method, device, name="tiny_llama", **lora):
    """Return a model as training by `method` might leave it."""
    if method == "qlora":
        pytest.importorskip("bitsandbytes", reason="not installed (pip install -e '.[qlora]')")
    base = load_base(spec(name), device, method)
    if method == "full":
        torch.manual_seed(0)
        with torch.no_grad():
            for weight in base.parameters():
                weight.add_(torch.randn_like(weight) * 0.01)
        return base
    params = PARAMS.model_copy(update={"lora": PARAMS.lora.model_copy(update=lora)})
    model = add_adapter(base, params, seed=1)
    torch.manual_seed(0)
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.05)
    return model.eval()


def save(model, folder, method, device, name="tiny_llama"):
    save_student(model, folder, spec(name), device)
    (folder / "training.json").write_text(json.dumps({"method": method}))


@pytest.mark.parametrize("lora", [{}, {"rslora": True, "dora": True, "targets": ["q_proj"]}])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_qwen3"])
def test_a_lora_student_loads_by_peft_and_merges_to_the_same(name, lora, folder):
    model = trained("lora", EXACT, name, **lora)
    save(model, folder, "lora", EXACT, name)
    files = {"adapter_config.json", "adapter_model.safetensors", "training.json"}
    assert {path.name for path in folder.iterdir()} == files
    config = json.loads((folder / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == f"models/base/{name}"
    expected = model(input_ids=IDS).logits
    loaded = AutoPeftModelForCausalLM.from_pretrained("student", dtype=torch.float32)
    torch.testing.assert_close(loaded(input_ids=IDS).logits, expected)
    student = load_student(spec(name), folder, EXACT)
    torch.testing.assert_close(student(input_ids=IDS).logits, expected, atol=1e-5, rtol=1e-4)


def test_a_qlora_student_is_that_of_its_4_bit_base_and_has_no_4_bit_layers(folder):
    model = trained("qlora", EXACT)
    expected = model(input_ids=IDS).logits
    save(model, folder, "qlora", EXACT)
    student = load_student(spec(), folder, EXACT)
    torch.testing.assert_close(student(input_ids=IDS).logits, expected, atol=1e-5, rtol=1e-4)
    assert {w.dtype for w in student.parameters()} == {torch.float32}
    student.save_pretrained(folder / "merged")  # what is published, and what vLLM reads
    plain = AutoModelForCausalLM.from_pretrained(folder / "merged", dtype=torch.float32)
    assert torch.equal(plain(input_ids=IDS).logits, student(input_ids=IDS).logits)
    nf4 = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True
    )
    quantised = AutoPeftModelForCausalLM.from_pretrained("student", quantization_config=nf4)
    quantised.train()  # in evaluation, bitsandbytes computes in bf16 on some CPUs
    torch.testing.assert_close(quantised(input_ids=IDS).logits, expected, atol=1e-5, rtol=1e-4)
    unquantised = AutoPeftModelForCausalLM.from_pretrained("student")(input_ids=IDS).logits
    assert (unquantised - expected).abs().max() > 1e-3, "the base in 4-bit is another model"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_qlora_computes_in_the_devices_format_and_quantises_all_but_the_ends(dtype):
    base = trained("qlora", Device(torch.device("cpu"), dtype)).get_base_model()
    layers = [m for m in base.modules() if type(m).__module__ == "bitsandbytes.nn.modules"]
    assert len(layers) == 14
    for layer in layers:
        state = layer.weight.quant_state
        assert (state.quant_type, state.nested, layer.compute_dtype) == ("nf4", True, dtype)
    assert base.lm_head.weight.dtype == base.model.norm.weight.dtype == dtype


def test_a_validation_does_not_change_the_gradients_of_qlora():
    def gradients(validated):
        model = trained("qlora", EXACT)
        if validated:
            with torch.no_grad():
                model(input_ids=IDS)
        model.train()(input_ids=IDS, labels=IDS).loss.backward()
        return [w.grad for w in model.parameters() if w.requires_grad]

    for one, other in zip(gradients(False), gradients(True), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_fully_trained_student_is_a_model_in_the_devices_format(dtype, folder):
    device = Device(torch.device("cpu"), dtype)
    model = trained("full", device)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in model.parameters())
    expected = {name: weight.detach().to(dtype) for name, weight in model.named_parameters()}
    save(model, folder, "full", device)
    student = load_student(spec(), folder, device)
    loaded = AutoModelForCausalLM.from_pretrained(folder)
    for one in (student, loaded):
        found = dict(one.named_parameters())
        assert found.keys() == expected.keys()
        assert all(torch.equal(weight, expected[name]) for name, weight in found.items())
    assert torch.equal(student(input_ids=IDS).logits, loaded(input_ids=IDS).logits)
    assert str(folder.parent) not in (folder / "config.json").read_text()
    assert AutoTokenizer.from_pretrained(folder).chat_template
    assert model_folder(spec(), folder) == folder


def test_the_untuned_student_is_the_base_model(folder):
    (folder / "training.json").write_text('{"method": "none"}')
    student = load_student(spec(), folder, EXACT)
    assert not isinstance(student, PeftModel)
    expected = load_base(spec(), EXACT)(input_ids=IDS).logits
    assert torch.equal(student(input_ids=IDS).logits, expected)
    assert model_folder(spec(), folder) == model_folder(spec(), None) == locate(spec())


def test_a_student_that_is_absent_or_of_another_model_is_refused(folder):
    llama = spec()
    for change in ({"hidden_size": 32, "head_dim": 8}, {"num_hidden_layers": 3}):
        random = llama.random.model_copy(update={"config": {**llama.random.config, **change}})
        other = llama.model_copy(update={"random": random})
        model = add_adapter(load_base(other, EXACT), PARAMS, seed=1)
        save_student(model, folder, other, EXACT)
        (folder / "training.json").write_text('{"method": "lora"}')
        assert model_folder(llama, folder) is None
        with pytest.raises(TracekdError, match="does not fit model tiny_llama"):
            load_student(llama, folder, EXACT)
    for note in ("{}", '{"method": "full"}'):
        (folder / "adapter_model.safetensors").unlink(missing_ok=True)
        (folder / "training.json").write_text(note)
        with pytest.raises(TracekdError, match="contains no student; run the train stage"):
            load_student(llama, folder, EXACT)
    with pytest.raises(TracekdError, match="contains no student; run the train stage"):
        load_student(llama, folder / "none", EXACT)


def test_a_quantised_base_without_its_package_is_one_sentence(monkeypatch, tmp_path):
    pytest.importorskip("bitsandbytes")
    quantised = tmp_path / "quantised"
    load_base(spec(), EXACT, "qlora").save_pretrained(quantised)
    monkeypatch.setattr(loading, "locate", lambda _: quantised)
    with pytest.raises(TracekdError, match="its weights are quantised, and train"):
        load_base(spec(), EXACT, "full")
    (tmp_path / "student").mkdir()
    (tmp_path / "student/training.json").write_text('{"method": "none"}')
    student = load_student(spec(), tmp_path / "student", EXACT)
    assert {weight.dtype for weight in student.parameters()} == {torch.float32}

    monkeypatch.setattr(
        "transformers.quantizers.quantizer_bnb_4bit.is_bitsandbytes_available", bool
    )
    for method in ("lora", "qlora"):
        with pytest.raises(TracekdError, match=r"models\.yaml: tiny_llama: .*bitsand.*\.\[qlora\]"):
            load_base(spec(), EXACT, method)
