import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
import torch
from tables import question, questions
from transformers import LlamaConfig, LlamaForCausalLM

from tracekd import records
from tracekd.config import InferParams, ModelSpec, ProbeParams, load_params
from tracekd.models.devices import Device
from tracekd.models.encoding import ChatEncoder
from tracekd.models.tiny import tiny_tokenizer
from tracekd.probing import asking, engine
from tracekd.probing.asking import TOO_LONG, ask_plans, probe
from tracekd.probing.engine import ProbeReply
from tracekd.probing.plans import Probe
from tracekd.progress import Stopped
from tracekd.traces.grammar import Grammar

ROOT = Path(__file__).resolve().parents[2]
TRACE = "<think>\nMary.\n</think>\n"


@pytest.fixture(scope="module")
def encoder():
    return ChatEncoder(tiny_tokenizer("llama"))


class Scripted:
    """An engine that gives every request the same answer, and keeps the requests."""

    def __init__(self, ids, stops):
        self.ids, self.stops = ids, stops

    def answer(self, _prompts, requests, _partial):
        self.requests = requests
        return [ProbeReply(self.ids[: request.limit], -1.5) for request in requests]


def row(number=0, answer="home", prompt="Where is Mary?"):
    text = TRACE + f"<answer>{answer}</answer>"
    asked = {"id": f"t/test/{number}", "system": "", "prompt": prompt}
    return {**asked, "completion": text, "answer_start": len(TRACE), "text": text}


def ask(encoder, rows, plans, ids, limits=(50, 4096)):
    engine = Scripted(ids, frozenset({encoder.end_of_turn}))
    made = ask_plans(engine, encoder, rows, plans, limits, None)
    table = records.check(pl.DataFrame(made, schema=records.PROBES), records.PROBES, "probes")
    return table.to_dicts(), engine.requests


def test_the_answer_begins_with_the_forced_tag_and_end_of_turn_is_not_counted(encoder):
    ids = [*encoder.plain_ids("barn</answer>"), encoder.end_of_turn]
    (found,), (request,) = ask(encoder, [row()], [[Probe("gold", TRACE, "a note")]], ids)
    assert (found["text"], found["finish_reason"]) == ("<answer>barn</answer>", "stop")
    counted = (len(ids) - 1, len(encoder.plain_ids(TRACE)), len(request.gold))
    names = ("completion_tokens", "trace_tokens", "gold_tokens")
    assert tuple(found[name] for name in names) == counted
    assert (found["gold_logprob"], found["trace"], found["note"]) == (-1.5, TRACE, "a note")
    assert encoder.decode(request.forced) == TRACE + "<answer>"
    assert encoder.decode(request.gold) == "home</answer>"
    spelt = [*encoder.plain_ids(TRACE), *encoder.plain_ids("<answer>home</answer>")]
    assert [*request.forced, *request.gold] == spelt


def test_an_answer_whose_first_token_spans_the_tag_in_training_is_spelt_after_it(encoder):
    class Merging:
        end_of_turn = encoder.end_of_turn
        given_ids, decode = encoder.given_ids, encoder.decode
        completion_ids = encoder.completion_ids

        def plain_ids(self, text):
            return [0] if text.startswith("<answer>?") else encoder.plain_ids(text)

    _, (request,) = ask(Merging(), [row(answer="?")], [[Probe("empty", "")]], [5])
    assert request.gold == encoder.plain_ids("?</answer>")


def test_a_forced_trace_has_native_tags_where_training_has_them():
    native = ChatEncoder(tiny_tokenizer("qwen3"), native_tags=True)
    _, (request,) = ask(native, [row()], [[Probe("gold", TRACE)]], [5])
    trained = native.encode(row()).completion_ids[:-1]
    assert [*request.forced, *request.gold] == trained
    assert native.tokenizer.decode(trained[:1]) == "<think>"


def test_probes_of_a_question_that_show_the_same_trace_are_answered_once(encoder):
    plans = [[Probe("own", TRACE), Probe("gold", TRACE), Probe("empty", "")]] * 2
    found, requests = ask(encoder, [row(0), row(1)], plans, [5] * 99)
    assert len(requests) == 4
    assert [one["id"][-1] for one in found] == list("000111")
    assert [one["probe"] for one in found] == ["own", "gold", "empty"] * 2
    assert {(one["finish_reason"], one["completion_tokens"]) for one in found} == {("length", 50)}


def test_a_probe_that_does_not_apply_or_fit_is_a_row_with_its_reason(encoder):
    prompt = len(encoder.prompt_ids("", row()["prompt"]))
    tag = len(encoder.plain_ids("<answer>"))
    rows = [row(0), row(1, prompt="Mary is here. " * 40)]
    plans = [[Probe("own", None, "no trace"), Probe("gold", TRACE), Probe("empty", "")]] * 2
    room = prompt + tag + len(encoder.plain_ids("home</answer>"))
    found, requests = ask(encoder, rows, plans, [5] * 99, (50, room))
    absent = "not_applicable"
    no_trace, too_long = (absent, "no trace"), (absent, TOO_LONG)
    expected = [no_trace, too_long, ("length", None), no_trace, too_long, too_long]
    assert [(one["finish_reason"], one["note"]) for one in found] == expected
    assert found[0]["gold_logprob"] is None
    assert [request.limit for request in requests] == [room - prompt - tag]


PLACES = ("kitchen", "garden", "office", "hallway")


class Job:
    """The probe stage's work on a few questions and a student of random weights."""

    def __init__(self, monkeypatch, folder, encoder):
        self.folder = folder
        monkeypatch.setenv("DVC_ROOT", str(folder))
        cpu, stops = Device(torch.device("cpu"), torch.float32), frozenset({encoder.end_of_turn})
        made = {"choose_device": cpu, "load_encoder": encoder, "locate": None, "stop_ids": stops}
        for name, value in made.items():
            monkeypatch.setattr(asking, name, lambda *_, value=value: value)
        monkeypatch.setattr(asking, "load_student", lambda *_: student(len(encoder.tokenizer)))
        monkeypatch.setattr(asking, "student_key", lambda _, folder, __: {"student": folder.name})
        self.rows = [row(number, PLACES[number % 4], f"Where is {number}?") for number in range(9)]
        asked = []
        for n, one in enumerate(self.rows):
            context = [f"Mary went to the {PLACES[n % 4]}.", f"John left {n} times."]
            named = ("moves", "stays")[n % 2]
            asked.append(question(one["id"], context=context, question_class=named))
        self.questions = dict.fromkeys(records.SPLITS, questions(*asked))
        original, self.sizes, self.stop_at = engine._packed_replies, [], None

        def replies(decoder, prompts, requests):
            self.sizes.append(len(requests))
            if len(self.sizes) == self.stop_at:
                os.kill(os.getpid(), signal.SIGTERM)
            return original(decoder, prompts, requests)

        monkeypatch.setattr(engine, "_packed_replies", replies)

    def run(self, stop_at=None, student="one", seed=0, limit=6, batch_size=20):
        """Return the probes and the requests in each batch; or stop in the batch `stop_at`."""
        self.sizes, self.stop_at = [], stop_at
        changes = {"infer": InferParams(batch_size=batch_size, max_new_tokens=6)}
        changes |= {"seed": seed, "probes": ProbeParams(enabled=True, limit=limit)}
        settings = load_params(ROOT / "params.yaml").model_copy(update=changes)
        spec = ModelSpec(name="tiny", path="nowhere", max_length=4096)
        given = (settings, spec, Grammar("It is: {class}."), self.questions, self.rows)
        made, facts = probe(*given, self.folder / student)
        assert facts["probes"] == len(made) == limit * 14
        return made, self.sizes


def student(vocabulary):
    torch.manual_seed(1)
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1}
    heads = {"num_attention_heads": 4, "initializer_range": 0.5}
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **sizes, **heads)).eval()


@pytest.fixture
def job(monkeypatch, tmp_path, encoder):
    return Job(monkeypatch, tmp_path, encoder)


def test_a_stopped_run_keeps_its_batches_and_a_rerun_continues(job, capsys):
    expected, whole = job.run()
    assert len(whole) == 3
    with pytest.raises(Stopped):
        job.run(stop_at=2)
    assert "SIGTERM: 2 of 3 batches kept; run again to resume" in capsys.readouterr().err
    assert job.run() == (expected, whole[2:])
    assert list((job.folder / ".checkpoints").iterdir()) == []


@pytest.mark.parametrize(
    "other", [{"student": "other"}, {"seed": 1}, {"limit": 7}, {"batch_size": 25}], ids=str
)
def test_replies_of_another_student_or_setting_are_not_resumed(job, other):
    expected = job.run(**other)
    with pytest.raises(Stopped):
        job.run(stop_at=2)
    assert job.run(**other) == expected


def test_without_probes_the_stage_writes_an_empty_table_and_loads_no_model(tmp_path):
    for file in ("params.yaml", "models.yaml", "datasets.yaml"):
        shutil.copy(ROOT / file, tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "metrics").mkdir()
    command = [sys.executable, "-X", "importtime", str(ROOT / "stages/probe.py")]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert records.read(tmp_path / "data/probes.parquet", records.PROBES).is_empty()
    assert (tmp_path / "metrics/run_probe.json").exists()
    assert "| polars" in done.stderr.replace("  ", "")
    assert "| torch\n" not in done.stderr.replace("  ", "")
