"""A run in DVC's cache, published to a folder and to a hub on loopback."""

import json
import re

import polars as pl
import pytest
import torch
from hub_server import REPO, REVISION, TOKEN, serve
from huggingface_hub import ModelCard
from peft import AutoPeftModelForCausalLM
from repository import Repository, scores
from training_runs import PARAMS, exact, spec
from transformers import AutoModelForCausalLM, AutoTokenizer

from tracekd import records
from tracekd.comparison.experiments import find_experiment
from tracekd.config import HubModel, ModelSpec
from tracekd.errors import TracekdError
from tracekd.models.adapters import add_adapter
from tracekd.models.loading import load_base, load_encoder, load_student, save_student
from tracekd.models.sources import locate
from tracekd.publishing.folder import publish
from tracekd.publishing.upload import require_token, upload

pytestmark = pytest.mark.usefixtures("model_cache")
EXACT = exact()
IDS = torch.arange(20)[None]
SOURCE = {"repo": REPO, "revision": REVISION}
PROMPT = {"system": "Answer.", "template": "{context}\nQ: {question}"}
CARD = {
    "infer": {"made_from": {"machine": {"dtype": "float32"}}},
    "train": {
        "seconds": 7.5,
        "packages": {"torch": "2.13.0"},
        "made_from": {"machine": {"device_name": "a GPU"}, "model": {"path": "/home/me/model"}},
    },
}
DETAILS = {
    "n": 4,
    "answer": {"accuracy": 0.5},
    "intervals": {"answer": {"accuracy": {"low": 0.25, "high": 0.75}}},
}


def student_of(entry, folder):
    """An adapter that changes what the model says."""
    model = add_adapter(load_base(entry, EXACT), PARAMS, seed=1)
    torch.manual_seed(0)
    for key, weight in model.named_parameters():
        if "lora_B" in key:
            torch.nn.init.normal_(weight, std=0.05)
    folder.mkdir()
    save_student(model, folder, entry, EXACT)
    (folder / "training.json").write_text('{"method": "lora"}')
    return folder


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Make the successful experiment `mine` with a student of an entry of models.yaml."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))

    def make(entry, student=None, examples=None, **params):
        path = tmp_path / "project"
        path.mkdir()
        repository = Repository(path)
        student = student or student_of(entry, tmp_path / "student")
        data = {"reader": "babi_sim", "licence": "cc0-1.0", "path": None}
        repository.experiment(
            "mine",
            scores([True, False]),
            details=DETAILS,
            card=CARD,
            student=repository.keep_folder(student),
            entry={
                "models.yaml": {"small": entry.model_dump(exclude={"name"})},
                "datasets.yaml": {"worlds": data},
            },
            prompt=PROMPT,
            infer={"max_new_tokens": 9},
            files=None
            if examples is None
            else {"data/sft/train.parquet": repository.keep(examples, records.SFT)},
            **params,
        )
        repository.save()
        return repository, find_experiment(path, "mine"), student

    return make


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub on loopback, and a token for it."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_TOKEN", TOKEN)
    with serve(monkeypatch, tmp_path) as server:
        yield server


def assert_no_paths(folder, root):
    for path in folder.rglob("*"):
        content = path.read_bytes()
        assert str(root).encode() not in content, path.name
        assert b"/home/me" not in content, path.name


def test_an_adapter_is_uploaded_and_loads_by_auto_classes_with_its_prompt(
    run, tmp_path, hub
) -> None:
    files = {path.name: path.read_bytes() for path in locate(spec("tiny_qwen3")).iterdir()}
    hub.files = hub.contents = files | {"adapter_old.bin": b""}
    arguments = {"enable_thinking": True, "note": 'a "word"'}
    entry = ModelSpec(
        name="small", hub=HubModel(**SOURCE), max_length=64, licence="mit", template_args=arguments
    )
    repository, one, student = run(entry)
    folder = tmp_path / "out"
    publish(one, repository.store, folder, "me/mine", merge=False)
    model = AutoPeftModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    expected = load_student(entry, student, EXACT)
    torch.testing.assert_close(
        model(input_ids=IDS).logits, expected(input_ids=IDS).logits, atol=1e-5, rtol=1e-4
    )
    assert hub.uploaded == {}
    assert upload(folder, REPO, private=True) == f"{hub.endpoint}/{REPO}/commit/1"
    assert hub.uploaded == {path.name: path.read_bytes() for path in folder.iterdir()}
    assert hub.private
    assert "adapter_old.bin" not in hub.files
    tokenizer = AutoTokenizer.from_pretrained(folder)
    messages = [{"role": "system", "content": "S"}, {"role": "user", "content": "Q"}]
    ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
    assert ids == load_encoder(entry).prompt_ids("S", "Q")
    card = ModelCard.load(folder / "README.md")
    found = card.data.to_dict()
    assert (found["base_model"], found["license"], found["library_name"]) == (REPO, "mit", "peft")
    assert found["model-index"][0]["results"][0]["metrics"][0]["value"] == 0.5
    for part in (
        "small on worlds, regime correct, seed 0", "50.0 %   (25.0 % to 75.0 %)", "cc0-1.0",
        "{context}\nQ: {question}", "train.epochs: 2", "data_seed: 0", REVISION, "torch 2.13.0",
        'AutoPeftModelForCausalLM.from_pretrained("me/mine"', "simulated by `babi_sim`", "a GPU",
    ):  # fmt: skip
        assert part in card.text, part
    assert_no_paths(folder, tmp_path)
    assert json.loads((folder / "run.json").read_text())["train"]["made_from"]["model"] == {}


def test_merged_weights_are_the_students_and_need_no_peft(run, tmp_path) -> None:
    entry = spec()
    repository, one, student = run(entry)
    folder = tmp_path / "out"
    publish(one, repository.store, folder, "mine", merge=True)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype="auto")
    assert model.dtype == torch.float32
    expected = load_student(entry, student, EXACT)
    torch.testing.assert_close(model(input_ids=IDS).logits, expected(input_ids=IDS).logits)
    assert "base_model" not in ModelCard.load(folder / "README.md").data.to_dict()
    assert not list(folder.glob("adapter*"))
    assert_no_paths(folder, tmp_path)


def test_a_student_of_all_weights_is_copied(run, tmp_path) -> None:
    entry = spec()
    repository, one, student = run(entry, locate(entry))
    publish(one, repository.store, tmp_path / "out", "out", merge=True)
    copied = (tmp_path / "out/model.safetensors").read_bytes()
    assert copied == (student / "model.safetensors").read_bytes()


def test_the_card_has_the_filler_that_a_student_was_given(run, tmp_path) -> None:
    row = {"id": "q/1", "system": "S", "prompt": "Q", "regime": "filler", "answer_start": 21}
    row |= {"completion": "<think>\n...\n</think>\n<answer>no</answer>"}
    row |= {"filler_for": "<think>\n" + "I see. " * 9 + "\n</think>\n"}
    examples = pl.DataFrame([row], schema=dict(records.SFT))
    repository, one, _ = run(spec(), examples=examples, trace_mode="filler")
    publish(one, repository.store, tmp_path / "out", "out", merge=True)
    card = (tmp_path / "out/README.md").read_text()
    assert re.search(r"~~~~text\n<think>\n(\.\.\. )+\.\.\.\n</think>\n~~~~\n", card)


def test_what_cannot_be_published_is_explained_and_leaves_nothing(run, tmp_path) -> None:
    note = tmp_path / "note"
    note.mkdir()
    (note / "training.json").write_text('{"method": "none"}')
    entry, out = spec(), tmp_path / "out"
    repository, one, _ = run(entry)
    untuned, gone = (
        one._replace(run=one.run._replace(files={**one.run.files, path: md5}))
        for path, md5 in (
            ("models/student", repository.keep_folder(note)),
            ("metrics/details.json", "0" * 32),
        )
    )
    for tried, message in (
        (one, "model small is not on the Hugging Face hub, so .* add --merge"),
        (untuned, r"mine trained no model \(train.method\)"),
        (gone, "not in DVC's cache on this machine; fetch it with `dvc exp pull REMOTE mine`"),
        (gone._replace(name="workspace"), "fetch it with `dvc pull`"),
    ):
        with pytest.raises(TracekdError, match=message):
            publish(tried, repository.store, out, "out", merge=False)
        assert not out.exists()
    with pytest.raises(TracekdError, match=r"--to: .*note is not empty; choose another"):
        publish(one, repository.store, note, "out", merge=True)
    for name, message in (
        ("mime", "no successful experiment 'mime'; did you mean mine"),
        ("workspace", r"experiment workspace: has no dvc.lock: nothing was run; run `dvc repro`"),
    ):
        with pytest.raises(TracekdError, match=message):
            find_experiment(repository.path, name)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (403, r"me/mine: the hub refuses \(HTTP 403\): your token may not write there"),
        (401, r"me/mine: the hub refuses \(HTTP 401\)"),
        (500, "me/mine: the hub answers HTTP 500"),
        (None, "me/mine: the hub cannot be reached"),
    ],
)
def test_a_refused_upload_is_one_line_without_the_token(
    hub, tmp_path, monkeypatch, status, message
) -> None:
    hub.refusal = (status, "") if status else None
    if status is None:
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(TracekdError, match=message) as error:
        upload(tmp_path, "me/mine", private=False)
    assert "\n" not in str(error.value)
    assert TOKEN not in str(error.value)


def test_a_public_repository_is_not_taken_for_a_private_one(hub, tmp_path) -> None:
    hub.exists = True
    with pytest.raises(TracekdError, match=f"--private: {REPO} is there already, and public"):
        upload(tmp_path, REPO, private=True)
    assert hub.uploaded == {}


def test_a_token_and_a_whole_name_are_asked_for_first(hub, monkeypatch) -> None:
    monkeypatch.delenv("HF_TOKEN")
    for repo in ("mine", "a/b/c", "me/..", "me/ä"):
        with pytest.raises(TracekdError, match="--repo: must be USER/NAME, found"):
            require_token(repo)
    with pytest.raises(TracekdError, match="no token for the Hugging Face hub; run `hf auth"):
        require_token("me/mine")
    assert hub.requests == []
