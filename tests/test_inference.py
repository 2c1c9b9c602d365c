from pathlib import Path

import polars as pl
import pytest

from tracekd import records
from tracekd.config import InferParams, TrainParams, load_model
from tracekd.devices import Device
from tracekd.errors import TracekdError
from tracekd.inference import answer_rows, generate, make_backend, stop_ids
from tracekd.models import load_base, load_encoder
from tracekd.training import train_adapter

ROOT = Path(__file__).resolve().parents[1]
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
    yield model, encoder, make_backend("transformers", model, encoder, device)
    torch.set_num_threads(threads)


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

    def __init__(self, said):
        self.said, self.sizes = said, []

    def generate(self, prompts, limits):
        self.sizes.append(len(prompts))
        return [self.said[:limit] for limit in limits]


@pytest.mark.parametrize("tiny", ["tiny_llama", "tiny_qwen3"], indirect=True)
def test_batched_answers_are_those_of_one_row_at_a_time_and_of_transformers(tiny):
    import torch

    model, encoder, backend = tiny
    prompts = [encoder.prompt_ids(row["system"], row["prompt"]) for row in rows(7)]
    together = backend.generate(prompts, [12] * 7)
    alone = [backend.generate([prompt], [12])[0] for prompt in prompts]
    assert together == alone
    assert len({tuple(said) for said in together}) > 1
    stops = stop_ids(model, encoder)
    for prompt, said in zip(prompts[:3], together, strict=False):
        ids = torch.tensor([prompt])
        reference = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=12,
            do_sample=False,
            eos_token_id=list(stops),
            pad_token_id=0,
        )
        assert reference[0, len(prompt) :].tolist() == said


def test_rows_that_end_leave_the_batch_and_the_others_go_on(tiny):
    _, encoder, backend = tiny
    prompts = [encoder.prompt_ids(row["system"], row["prompt"]) for row in rows(5)]
    free = backend.generate(prompts, [12] * 5)
    stop = free[1][4]
    backend._stops = frozenset({stop})
    expected = []
    for said in free:
        end = said.index(stop) + 1 if stop in said else 12
        expected.append(said[:end])
    assert backend.generate(prompts, [12] * 5) == expected
    assert any(len(said) < 12 for said in expected)
    backend._stops = frozenset()
    limits = [3, 12, 1, 5, 7]
    cut = backend.generate(prompts, limits)
    assert cut == [said[:limit] for said, limit in zip(free, limits, strict=True)]


def test_answers_come_back_in_the_order_of_the_rows(tiny):
    model, encoder, backend = tiny
    stops = stop_ids(model, encoder)
    made = generate(backend, encoder, rows(9), PARAMS, 4096, stops)
    for row, answer in zip(rows(9), made, strict=True):
        assert answer == generate(backend, encoder, [row], PARAMS, 4096, stops)[0]
        assert answer.prompt_tokens == len(encoder.prompt_ids(row["system"], row["prompt"]))


def test_end_of_turn_stops_and_is_neither_counted_nor_shown(tiny):
    model, encoder, _ = tiny
    said = [*encoder.plain_ids("yes </think>"), encoder.end_of_turn]
    answer = generate(Scripted(said), encoder, rows(1), PARAMS, 4096, stop_ids(model, encoder))[0]
    assert (answer.text, answer.finish_reason) == ("yes </think>", "stop")
    assert answer.completion_tokens == len(said) - 1


def test_text_is_byte_faithful(tiny):
    model, encoder, _ = tiny
    text = " a , b 's  .\n caf\u00e9 "
    said = [*encoder.plain_ids(text), encoder.end_of_turn]
    params = InferParams(batch_size=1, max_new_tokens=99)
    stops = stop_ids(model, encoder)
    assert generate(Scripted(said), encoder, rows(1), params, 4096, stops)[0].text == text


def test_answer_without_end_is_cut_at_the_limit(tiny):
    model, encoder, _ = tiny
    stops = stop_ids(model, encoder)
    answer = generate(Scripted([5] * 99), encoder, rows(1), PARAMS, 4096, stops)[0]
    assert (answer.finish_reason, answer.completion_tokens) == ("length", 12)


def test_prompt_longer_than_the_model_is_not_run_and_says_so(tiny):
    model, encoder, _ = tiny
    lengths = [len(encoder.prompt_ids(row["system"], row["prompt"])) for row in rows(5)]
    limit = lengths[3]
    backend = Scripted([5] * 99)
    made = generate(backend, encoder, rows(5), PARAMS, limit, stop_ids(model, encoder))
    assert [answer.finish_reason for answer in made] == ["length"] * 3 + ["prompt_too_long"] * 2
    assert made[4].text == ""
    assert (made[4].prompt_tokens, made[4].completion_tokens) == (lengths[4], 0)
    assert made[0].completion_tokens == min(12, limit - lengths[0])
    assert backend.sizes == [3]


def test_unknown_backend_names_the_known_ones(tiny):
    model, encoder, _ = tiny
    with pytest.raises(TracekdError, match="unknown backend 'vllm'; Known: transformers"):
        make_backend("vllm", model, encoder, None)


def test_trained_adapter_answers_and_the_table_fits_its_schema(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
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
    adapter = tmp_path / "adapter"
    tiny_llama = spec("tiny_llama")
    train_adapter("tiny_llama", tiny_llama, params, 0, data, adapter, tmp_path / "l", tmp_path)
    predictions, facts = answer_rows("tiny_llama", tiny_llama, PARAMS, rows(5), adapter)
    table = pl.DataFrame(predictions, schema=records.PREDICTIONS)
    records.write(table, tmp_path / "p.parquet", records.PREDICTIONS)
    assert records.read(tmp_path / "p.parquet", records.PREDICTIONS)["id"].to_list() == [
        row["id"] for row in rows(5)
    ]
    assert sum(facts["finish_reasons"].values()) == 5
