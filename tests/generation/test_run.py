import sys
from pathlib import Path
from types import ModuleType

import polars as pl
import pytest

from tracekd import records, tables
from tracekd.config import InferParams, TrainParams, load_model
from tracekd.generation.backends import BACKENDS, Student, make_backend, stop_ids
from tracekd.generation.run import answer_rows, generate
from tracekd.models.devices import Device
from tracekd.models.loading import load_base, load_encoder
from tracekd.progress import Journal
from tracekd.training.run import train_adapter

ROOT = Path(__file__).resolve().parents[2]
PARAMS = InferParams(batch_size=4, max_new_tokens=12)


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))


def spec(name):
    return load_model(ROOT / "models.yaml", name)


@pytest.fixture
def tiny(request):
    import torch

    name = getattr(request, "param", "tiny_llama")
    device = Device(torch.device("cpu"), torch.float32)
    model, encoder = load_base(name, spec(name), device), load_encoder(name, spec(name))
    torch.manual_seed(0)
    for key, weight in model.named_parameters():
        if "proj" in key:  # as built, the layers are too weak to say anything but the last token
            torch.nn.init.normal_(weight, std=0.3)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    given = Student(model, encoder, stop_ids(model, encoder), device, 4096)
    yield model, encoder, make_backend("transformers", given)
    torch.set_num_threads(threads)


@pytest.fixture
def journal(tmp_path):
    with Journal(tmp_path / "journal") as opened:
        yield opened


def rows(count):
    return [
        {
            "id": f"t/test/{number}",
            "system": "You are helpful.",
            "prompt": "Mary is here. " * (number % 5) + f"Where is number {number}?",
            "completion": "<answer>no</answer>",
            "answer_start": 0,
        }
        for number in range(count)
    ]


class Scripted:
    """A backend that says the same to everything."""

    def __init__(self, said, batches=1):
        self.said, self.sizes, self.batches = said, [], batches

    def generate(self, prompts, limits):
        self.sizes.append(len(prompts))
        return [self.said[:limit] for limit in limits]


def test_answers_come_back_in_the_order_of_the_rows(tiny, journal):
    model, encoder, backend = tiny
    stops = stop_ids(model, encoder)
    made = generate(backend, encoder, rows(9), PARAMS, 4096, stops, journal)
    for row, answer in zip(rows(9), made, strict=True):
        assert answer == generate(backend, encoder, [row], PARAMS, 4096, stops, journal)[0]
        assert answer.prompt_tokens == len(encoder.prompt_ids(row["system"], row["prompt"]))


def test_end_of_turn_stops_and_is_neither_counted_nor_shown(tiny, journal):
    model, encoder, _ = tiny
    said = [*encoder.plain_ids("yes </think>"), encoder.end_of_turn]
    answer = generate(
        Scripted(said), encoder, rows(1), PARAMS, 4096, stop_ids(model, encoder), journal
    )[0]
    assert (answer.text, answer.finish_reason) == ("yes </think>", "stop")
    assert answer.completion_tokens == len(said) - 1


def test_text_is_byte_faithful(tiny, journal):
    model, encoder, _ = tiny
    text = " a , b 's  .\n caf\u00e9 "
    said = [*encoder.plain_ids(text), encoder.end_of_turn]
    params = InferParams(batch_size=1, max_new_tokens=99)
    stops = stop_ids(model, encoder)
    assert generate(Scripted(said), encoder, rows(1), params, 4096, stops, journal)[0].text == text


def test_answer_without_end_is_cut_at_the_limit(tiny, journal):
    model, encoder, _ = tiny
    stops = stop_ids(model, encoder)
    answer = generate(Scripted([5] * 99), encoder, rows(1), PARAMS, 4096, stops, journal)[0]
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 12)


def test_prompt_longer_than_the_model_is_not_run_and_says_so(tiny, journal):
    model, encoder, _ = tiny
    lengths = [len(encoder.prompt_ids(row["system"], row["prompt"])) for row in rows(5)]
    limit = lengths[3]
    backend = Scripted([5] * 99)
    made = generate(backend, encoder, rows(5), PARAMS, limit, stop_ids(model, encoder), journal)
    assert [answer.finish_reason for answer in made] == ["length"] * 3 + ["prompt_too_long"] * 2
    assert made[4].text == ""
    assert (made[4].prompt_tokens, made[4].completion_tokens) == (lengths[4], 0)
    assert made[0].completion_tokens == min(12, limit - lengths[0])
    assert backend.sizes == [3]


def test_backend_is_given_as_many_batches_at_once_as_it_wants(tiny, journal):
    model, encoder, _ = tiny
    stops = stop_ids(model, encoder)
    for batches, sizes in ((1, [4, 4, 1]), (2, [8, 1]), (64, [9])):
        backend = Scripted([5] * 99, batches)
        generate(backend, encoder, rows(9), PARAMS, 4096, stops, journal)
        assert backend.sizes == sizes


def trained(folder):
    """Train the tiny Llama for a step; return its adapter."""
    params = TrainParams(
        epochs=1,
        batch_size=2,
        learning_rate=1e-3,
        warmup=0,
        lora_rank=2,
        lora_alpha=4,
        lora_dropout=0,
        evaluations=1,
    )
    data = {"train": rows(2), "validation": rows(1)}
    adapter, tiny_llama = folder / "adapter", spec("tiny_llama")
    train_adapter("tiny_llama", tiny_llama, params, 0, data, adapter, folder / "l", folder)
    return adapter


def test_trained_adapter_answers_and_the_table_fits_its_schema(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    adapter = trained(tmp_path)
    with answer_rows("tiny_llama", spec("tiny_llama"), PARAMS, rows(5), adapter) as answers:
        table = pl.DataFrame(answers.predictions, schema=records.PREDICTIONS)
    tables.write(table, tmp_path / "p.parquet", records.PREDICTIONS)
    assert tables.read(tmp_path / "p.parquet", records.PREDICTIONS)["id"].to_list() == [
        row["id"] for row in rows(5)
    ]
    assert sum(answers.facts["finish_reasons"].values()) == 5


class Elsewhere(Device):
    """Stands for a GPU: what is moved there is not on the CPU."""

    def describe(self):
        return {"device_name": "elsewhere"}

    def peak_memory_bytes(self):
        return 0


def test_backend_of_ones_own_has_the_student_on_the_cpu_and_its_packages_in_the_run_card(
    monkeypatch, tmp_path
):
    import torch

    class Own(Scripted):
        on_cpu, packages = True, ("pytest",)

        def __init__(self, student):
            assert student.model.device.type == "cpu"
            assert student.device.device.type == "meta"
            super().__init__(student.encoder.plain_ids("no"))

        def crew_memory(self):
            return 0

    monkeypatch.chdir(tmp_path)
    module = ModuleType("own_backend")
    module.BACKEND = Own
    monkeypatch.setitem(sys.modules, "own_backend", module)
    monkeypatch.setitem(BACKENDS, "own", "own_backend")
    params, adapter = PARAMS.model_copy(update={"backend": "own"}), trained(tmp_path)
    device = Elsewhere(torch.device("meta"), torch.float32)
    monkeypatch.setattr("tracekd.generation.run.choose_device", lambda: device)
    with answer_rows("tiny_llama", spec("tiny_llama"), params, rows(2), adapter) as answers:
        assert [said["text"] for said in answers.predictions] == ["no", "no"]
    packages = answers.facts["made_from"]["model"]["packages"]
    assert packages["pytest"] == pytest.__version__
