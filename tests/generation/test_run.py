import os
import signal
import sys
from types import ModuleType, SimpleNamespace

import polars as pl
import pytest
import torch

from tracekd import records
from tracekd.config import InferParams, ModelSpec
from tracekd.errors import TracekdError
from tracekd.generation import run
from tracekd.generation.backends import Student, stop_ids
from tracekd.generation.run import generate, predict
from tracekd.models.devices import Device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.tiny import tiny_tokenizer
from tracekd.progress import Stopped

PARAMS = InferParams(backend="transformers", batch_size=4, max_new_tokens=12)
SPEC = ModelSpec(name="tiny", path="nowhere", max_length=4096)
OWN = PARAMS.model_copy(update={"backend": "own"})
CPU = Device(torch.device("cpu"), torch.float32)


def rows(count):
    prompts = ["Mary is here. " * (number % 5) + f"Where is {number}?" for number in range(count)]
    shared = {"system": "You are helpful.", "completion": "<answer>no</answer>"}
    return [{"id": f"t/test/{n}", "prompt": prompt, **shared} for n, prompt in enumerate(prompts)]


class Scripted:
    """A backend that answers every prompt alike, or as `answer` does."""

    def __init__(self, answer):
        self.answer, self.sizes, self.seeds = answer, [], []

    def generate(self, prompts, limits, seeds):
        self.sizes.append(len(prompts))
        self.seeds += seeds
        answer = self.answer if callable(self.answer) else lambda _: self.answer
        return [answer(prompt)[:limit] for prompt, limit in zip(prompts, limits, strict=True)]


@pytest.fixture
def answers(encoder, tmp_path):
    """Return a function that lets a scripted backend answer some rows."""

    def answers(backend, count=1, max_length=4096, **params):
        student = Student(None, CPU, encoder, frozenset({encoder.end_of_turn}), max_length)
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl"
        settings = PARAMS.model_copy(update=params)
        return generate(backend, student, rows(count), settings, path)

    return answers


def test_predictions_come_in_the_order_of_the_rows(encoder, answers):
    backend = Scripted(lambda prompt: [*prompt[-3:], encoder.end_of_turn])
    for row, found in zip(rows(9), answers(backend, 9), strict=True):
        prompt = encoder.prompt_ids(row["system"], row["prompt"])
        assert (found["id"], found["prompt_tokens"]) == (row["id"], len(prompt))
        assert found["text"] == encoder.decode(prompt[-3:])
    assert backend.sizes == [4, 4, 1]


def test_the_model_is_given_a_filler_as_in_training_and_writes_the_answer(encoder, tmp_path):
    trace, answer = "<think>\n...\n</think>\n", "<answer>Bob</answer>"
    (row,) = rows(1)
    row |= {"completion": f"{trace}{answer}", "answer_start": len(trace)}
    row |= {"filler_for": "<think>\nThree words here.\n</think>\n"}
    asked = []
    written = [*encoder.plain_ids(answer), encoder.end_of_turn]
    backend = Scripted(lambda prompt: asked.append(prompt) or written)
    student = Student(None, CPU, encoder, frozenset({encoder.end_of_turn}), 4096)
    settings = PARAMS.model_copy(update={"max_new_tokens": 99})
    (found,) = generate(backend, student, [row], settings, tmp_path / "answers.jsonl")
    encoded = encoder.encode(row)
    assert (asked, written) == ([encoded.prompt_ids], encoded.completion_ids)
    assert found["text"] == answer
    assert found["prompt_tokens"] == len(encoded.prompt_ids)


def test_an_answer_ends_at_end_of_turn_which_is_not_shown_or_at_the_limit(encoder, answers):
    text = " a , b 's  .\n caf\u00e9 </think>"
    ids = encoder.plain_ids(text)
    (found,) = answers(Scripted([*ids, encoder.end_of_turn]), max_new_tokens=99)
    assert found["text"] == text
    assert (found["finish_reason"], found["completion_tokens"]) == ("stop", len(ids))
    (found,) = answers(Scripted([5] * 99))
    assert (found["finish_reason"], found["completion_tokens"]) == ("length", 12)


def test_a_prompt_that_is_too_long_for_the_model_is_not_run(encoder, answers):
    lengths = [len(encoder.prompt_ids(row["system"], row["prompt"])) for row in rows(5)]
    backend = Scripted([5] * 99)
    found = answers(backend, 5, max_length=lengths[3])
    assert [one["finish_reason"] for one in found] == ["length"] * 3 + ["prompt_too_long"] * 2
    names = ("text", "prompt_tokens", "completion_tokens")
    assert [found[4][name] for name in names] == ["", lengths[4], 0]
    assert found[0]["completion_tokens"] == min(12, lengths[3] - lengths[0])
    assert backend.sizes == [3]


def test_shots_that_leave_no_room_for_a_question_are_an_error_before_any_is_run(answers):
    shot = rows(1)[0] | {"answer_start": 0}
    encoder = ChatEncoder(tiny_tokenizer("llama"), shots=[shot] * 40)
    longest = len(encoder.prompt_ids("You are helpful.", rows(5)[4]["prompt"]))
    backend = Scripted([5])
    student = Student(None, CPU, encoder, frozenset({encoder.end_of_turn}), longest)
    with pytest.raises(TracekdError, match=r"prompt.shots is 40, .* 1 questions need more than"):
        generate(backend, student, rows(5), PARAMS, None)
    assert backend.sizes == []


@pytest.mark.parametrize("eos", [7, [7, 8], None])
def test_answers_end_at_the_templates_end_of_turn_and_the_models_own_eos(encoder, tmp_path, eos):
    from transformers import GenerationConfig, LlamaConfig

    others = eos if isinstance(eos, list) else [eos] if eos else []
    expected = {encoder.end_of_turn, encoder.tokenizer.eos_token_id, *others}
    LlamaConfig(eos_token_id=eos).save_pretrained(tmp_path)
    assert stop_ids(tmp_path, encoder) == expected
    LlamaConfig(eos_token_id=99).save_pretrained(tmp_path)
    GenerationConfig(eos_token_id=eos).save_pretrained(tmp_path)
    assert stop_ids(tmp_path, encoder) == expected


@pytest.fixture
def project(monkeypatch, tmp_path, tiny, encoder):
    """A student of random weights, without a models folder."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    for name in ("student", "another"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "weights").write_text(name)
    stops = frozenset({encoder.end_of_turn})
    made = {"choose_device": CPU, "load_encoder": encoder, "locate": None, "stop_ids": stops}
    made["model_folder"] = None
    for name, value in made.items():
        monkeypatch.setattr(run, name, lambda *_, value=value: value)
    monkeypatch.setattr(run, "load_student", lambda *_: tiny())
    return tmp_path


@pytest.fixture
def own(monkeypatch):
    """Put a module `own` among the backends; `interrupt` is called before each batch."""
    module = ModuleType("tracekd.generation.backends.own")
    module.made, module.sizes, module.closed = [], [], []
    module.interrupt = lambda: None

    def generate(prompts, limits, seeds):
        module.interrupt()
        module.sizes.append(len(prompts))
        return [[5] * limit for limit in limits]

    def make(student):
        module.made.append(student)
        module.sizes.clear()
        return SimpleNamespace(generate=generate, close=lambda: module.closed.append(1))

    module.make = make
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return module


def test_predictions_fit_their_schema_and_examples_change_nothing(project):
    found, facts = predict(SPEC, PARAMS, rows(9), project / "student")
    records.check(pl.DataFrame(found, schema=records.PREDICTIONS), records.PREDICTIONS, "p")
    assert [row["id"] for row in found] == [row["id"] for row in rows(9)]
    assert len({row["text"] for row in found}) > 3
    assert sum(facts["finish_reasons"].values()) == 9
    examples = [row | {"completion": row["prompt"], "answer_start": 0} for row in rows(3)]
    assert predict(SPEC, PARAMS, rows(9), project / "student", examples)[0] == found


def test_a_backend_of_your_own_is_a_module(project, own):
    own.PACKAGES, own.BATCHES = ("pytest",), 2
    found, facts = predict(SPEC, OWN, rows(9), project / "student")
    assert own.sizes == [8, 1]
    assert found[0]["completion_tokens"] == 12
    assert facts["made_from"]["packages"]["pytest"] == pytest.__version__
    (student,) = own.made
    assert (student.device, student.max_length) == (CPU, 4096)
    assert student.load(CPU).device.type == "cpu"
    assert own.closed == [1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_after_the_batch_and_a_rerun_continues(project, own, capsys, number):
    expected = predict(SPEC, OWN, rows(14), project / "student")[0]
    own.interrupt = lambda: len(own.sizes) == 1 and os.kill(os.getpid(), number)
    with pytest.raises(Stopped) as left:
        predict(SPEC, OWN, rows(14), project / "student")
    assert left.value.code == 128 + number
    assert f"{number.name}: 2 of 4 batches kept; run again" in capsys.readouterr().err
    (partial,) = (project / ".checkpoints").glob("*/answers.jsonl")
    partial.write_bytes(partial.read_bytes() + b"[[5, 5")  # a line cut off by a kill
    own.interrupt = lambda: None
    assert predict(SPEC, OWN, rows(14), project / "student")[0] == expected
    assert own.sizes == [4, 2]
    assert list((project / ".checkpoints").iterdir()) == []


SAMPLED = {"temperature": 0.8, "samples": 3}


def test_every_sample_of_a_question_has_a_seed_of_its_own_whatever_is_asked_beside_it(answers):
    backend = Scripted([5])
    found = answers(backend, 9, **SAMPLED)
    expected = [(f"t/test/{number}", sample) for number in range(9) for sample in range(3)]
    assert [(one["id"], one["sample"]) for one in found] == expected
    assert len(set(backend.seeds)) == 27
    assert all(0 <= seed < 2**63 for seed in backend.seeds)
    fewer, other = Scripted([5]), Scripted([5])
    answers(fewer, 2, batch_size=1, **SAMPLED | {"samples": 2})
    assert set(fewer.seeds) < set(backend.seeds)
    answers(other, 9, seed=1, **SAMPLED)
    assert not set(other.seeds) & set(backend.seeds)


def test_samples_are_the_same_in_any_batch_and_the_first_of_one_is_the_first_of_three(project):
    def sampled(student="student", **changes):
        params = PARAMS.model_copy(update={**SAMPLED, **changes})
        return predict(SPEC, params, rows(6), project / student)[0]

    three = sampled()
    records.check(pl.DataFrame(three, schema=records.PREDICTIONS), records.PREDICTIONS, "p")
    assert len({one["text"] for one in three}) > 12
    assert sampled(batch_size=1) == three
    assert sampled(samples=1) == three[::3]
    assert sampled(seed=1) != three
    assert sampled(temperature=1.2) != three


def test_out_of_memory_names_the_setting_and_the_backend_is_closed(project, own):
    def fail():
        raise torch.OutOfMemoryError

    own.interrupt = fail
    with pytest.raises(TracekdError, match=r"batch of 4; lower infer\.batch_size"):
        predict(SPEC, OWN, rows(4), project / "student")
    assert own.closed == [1]


def test_predictions_of_another_student_or_setting_are_not_resumed(project, own):
    own.interrupt = lambda: os.kill(os.getpid(), signal.SIGINT)
    with pytest.raises(Stopped):
        predict(SPEC, OWN, rows(8), project / "student")
    own.interrupt = lambda: None
    changed = rows(8)
    changed[0]["prompt"] += "?"
    for spec, settings, questions, student, sizes in (
        (SPEC.model_copy(update={"max_length": 99}), OWN, rows(8), "student", [4, 4]),
        (SPEC, OWN.model_copy(update={"max_new_tokens": 3}), rows(8), "student", [4, 4]),
        (SPEC, OWN, changed, "student", [4, 4]),
        (SPEC, OWN, rows(8), "another", [4, 4]),
        (SPEC, OWN, rows(8), "student", [4]),
    ):
        predict(spec, settings, questions, project / student)
        assert own.sizes == sizes
