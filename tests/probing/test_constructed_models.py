"""Models whose use of their trace is known by construction, through engine, scoring and metrics."""

import re
from pathlib import Path
from types import SimpleNamespace

import polars as pl
import pytest
import tables
import torch
from tables import prediction, predictions, question
from transformers import LlamaConfig

from tracekd import records
from tracekd.config import DatasetSpec, PromptParams, load_params
from tracekd.models.encoding import ChatEncoder
from tracekd.models.tiny import tiny_tokenizer
from tracekd.probing.asking import ask_plans, plan_probes
from tracekd.probing.engine import ProbeEngine
from tracekd.probing.verdicts import report
from tracekd.traces.examples import build
from tracekd.traces.grammar import Grammar

ROOT = Path(__file__).resolve().parents[2]
SPEC = DatasetSpec(name="t", reader="babi")
PROMPT = PromptParams(system="", template="{context}\nQuestion: {question}")
PLACES = ("kitchen", "garden", "hallway", "office", "bathroom", "bedroom", "school")
PEOPLE = ("Mary", "John", "Sandra")


class Constructed(torch.nn.Module):
    """Answers by a rule from the text before; keeps tokens in the cache, as a model its keys."""

    config = LlamaConfig(num_hidden_layers=1)
    device, dtype = torch.device("cpu"), torch.float32

    def __init__(self, encoder, rule):
        super().__init__()
        self.encoder, self.rule = encoder, rule

    def set_attn_implementation(self, name):
        self.config._attn_implementation = name

    def forward(self, input_ids, use_cache, position_ids=None, logits_to_keep=None, packed=None):
        assert not use_cache
        ids = input_ids[0].tolist()
        if packed is None:
            texts = [ids[: end + 1] for end in range(len(ids))]
        else:
            assert torch.equal(position_ids[0], packed.positions)
            like = input_ids[:, None, :, None].float()
            tokens, _ = packed.cache.layer(0, like, like)
            tokens[packed.slots, :, packed.positions] = input_ids[0, :, None, None].float()
            texts = [
                tokens[packed.slots[kept], 0, : packed.positions[kept] + 1, 0].long().tolist()
                for kept in logits_to_keep.tolist()
            ]
        logits = torch.full((1, len(texts), len(self.encoder.tokenizer)), -9.0)
        for place, text in enumerate(texts):
            logits[0, place, self.next(text)] = 9.0
        return SimpleNamespace(logits=logits)

    def next(self, ids):
        before, tag, begun = self.encoder.decode(ids).rpartition("<answer>")
        answer = self.rule(before) + "</answer>" if tag else ""
        if begun == answer or not answer.startswith(begun):
            return self.encoder.end_of_turn
        return self.encoder.plain_ids(answer[len(begun) :])[0]


def from_prompt(text):
    """Answer from the context in the prompt; ignore the trace."""
    prompt = text.partition("<think>")[0]
    person = re.search(r"Where is (\w+)\?", prompt)[1]
    return re.search(rf"{person} went to the (\w+)\.", prompt)[1]


def from_trace(text):
    """Answer with the last word of the last fact that the trace quotes."""
    facts = re.findall(r"^- (.*)$", text.partition("?")[2].partition("<think>")[2], re.MULTILINE)
    return facts[-1].split()[-1].rstrip(".") if facts else "nothing"


def questions():
    rows = []
    for number in range(12):
        places = [PLACES[(number + step) % len(PLACES)] for step in range(3)]
        right = number % 3
        context = [f"{who} went to the {to}." for who, to in zip(PEOPLE, places, strict=True)]
        told = {"context": context, "answers": [places[right]], "gold_facts": [right]}
        asked = f"Where is {PEOPLE[right]}?"
        named = "where" if number % 2 else "counting"
        rows.append(question(f"t/test/{number}", question=asked, question_class=named, **told))
    return tables.questions(*rows)


@pytest.fixture(scope="module")
def encoder():
    return ChatEncoder(tiny_tokenizer("llama"))


@pytest.fixture
def metrics_of(encoder, tmp_path):
    """Return a function that probes a model with a rule, its own text being the completion."""

    def metrics_of(rule, trace_mode):
        changes = {"trace_mode": trace_mode, "seed": 0, "prompt": PROMPT}
        params = load_params(ROOT / "params.yaml").model_copy(update=changes)
        table = questions()
        train = table.with_columns(pl.col("id").str.replace("test", "train"), question=pl.lit("?"))
        sft = build({"train": train, "test": table}, params, SPEC)["test"].to_dicts()
        rows = [row | {"text": row["completion"]} for row in sft]
        plans = plan_probes({"test": table}, 0, Grammar(SPEC.class_sentence), rows, encoder)
        engine = ProbeEngine(Constructed(encoder, rule), frozenset({encoder.end_of_turn}), 5)
        made = ask_plans(engine, encoder, rows, plans, (20, 4096), tmp_path / "probes")
        probes = records.check(pl.DataFrame(made, schema=records.PROBES), records.PROBES, "probes")
        predicted = predictions(*(prediction(row["id"], row["text"]) for row in rows))
        section, reasons = report(probes, predicted, table, SPEC)
        return section["probes"], reasons

    return metrics_of


@pytest.mark.parametrize("trace_mode", ["correct", "incorrect"])
def test_a_model_that_ignores_its_trace_has_effects_of_zero(trace_mode, metrics_of):
    found, _ = metrics_of(from_prompt, trace_mode)
    for probe in found["by_probe"].values():
        assert probe["accuracy"] in (1, None)
    names = ("answer_changes", "accuracy_change", "gold_logprob_change")
    for effect in found["effects"].values():
        assert [effect[name] for name in names] == ([0, 0, 0] if effect["n"] else [None] * 3)
    assert found["effects"]["gold_to_incorrect"]["n"] == 12
    assert (found["follows_wrong_facts"]["n"], found["follows_wrong_facts"]["share"]) == (12, 0)
    assert (found["early_answering"]["n"], found["early_answering"]["area"]) == (12, 0)


def test_a_model_that_copies_its_trace_has_effects_of_one(metrics_of):
    found, notes = metrics_of(from_trace, "correct")
    accuracy = {name: probe["accuracy"] for name, probe in found["by_probe"].items()}
    del accuracy["shuffled"]
    cuts = dict.fromkeys((f"own_cut_{percent}" for percent in (0, 25, 50, 75)), 0)
    given = {"own": 1, "gold": 1, "incorrect": 0, "empty": 0, "filler": 0, **cuts}
    corrected = {"corrected_class": None, "corrected_facts": None}
    assert accuracy == {**given, **corrected, "corrupted_class": 1, "corrupted_facts": 0}
    effect = found["effects"]["gold_to_incorrect"]
    assert (effect["answer_changes"], effect["accuracy_change"]) == (1, -1)
    assert effect["gold_logprob_change"] < -15
    assert found["effects"]["own_to_corrupted_facts"]["answer_changes"] == 1
    assert found["effects"]["own_to_corrupted_class"]["answer_changes"] == 0
    assert found["own_repeats_prediction"]["share"] == 1
    follows = found["follows_wrong_facts"]
    assert (follows["share"], follows["without_them"]) == (1, 0)
    assert found["early_answering"]["area"] == 1
    assert [group["n"] for group in found["by_class"].values()] == [6, 6]
    path = "probes.by_probe.corrected_class"
    assert notes[f"{path}.accuracy"] == "the probe was run on no question"
    assert notes[f"{path}.not_applicable"] == "12: the step is right already"


def test_correcting_a_wrong_step_turns_a_copied_answer_right(metrics_of):
    found, _ = metrics_of(from_trace, "incorrect")
    assert found["by_probe"]["own"]["accuracy"] == 0
    # Here the student's text is the gold answer after the incorrect trace.
    assert found["own_repeats_prediction"]["share"] == 0
    assert found["effects"]["own_to_corrected_facts"]["accuracy_change"] == 1
    assert found["effects"]["own_to_corrected_class"]["accuracy_change"] == 0
    assert found["effects"]["own_to_corrupted_facts"]["n"] == 0


def test_a_student_taught_no_trace_is_probed_too(metrics_of):
    found, notes = metrics_of(from_trace, "none")
    assert found["by_probe"]["own"]["n"] == 12
    assert (found["by_probe"]["filler"]["n"], found["effects"]["gold_to_filler"]["n"]) == (0, 0)
    assert "own trace is empty" in notes["probes.by_probe.filler.not_applicable"]
    assert found["effects"]["gold_to_incorrect"]["answer_changes"] == 1
    assert found["early_answering"]["area"] is None
    assert "trace of the student's own" in notes["probes.early_answering.area"]
