from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tracekd import records
from tracekd.config import ProbeParams, load_model, load_params
from tracekd.models.loading import load_encoder
from tracekd.probes.asking import PROMPT_TOO_LONG, TOO_LONG, ask_plans, probe_rows
from tracekd.probes.engine import Reply
from tracekd.probes.plans import Probe
from tracekd.progress import Journal

ROOT = Path(__file__).resolve().parents[2]
TRACE = "<think>\nMary.\n</think>\n"


@pytest.fixture
def encoder(monkeypatch, tmp_path_factory):
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))
    return load_encoder("tiny_llama", load_model(ROOT / "models.yaml", "tiny_llama"))


class Scripted:
    """An engine that says the same to everything, and keeps what it was asked."""

    def __init__(self, said):
        self.said, self.asked = said, []

    def ask(self, prompts, asked, *_):
        self.prompts, self.asked = prompts, asked
        return [Reply(self.said[: one.limit], -1.5) for one in asked]


def row(number=0, answer="home", prompt="Where is Mary?"):
    completion = TRACE + f"<answer>{answer}</answer>"
    return {
        "id": f"t/test/{number}",
        "system": "",
        "prompt": prompt,
        "completion": completion,
        "answer_start": len(TRACE),
    }


def ask(encoder, rows, plans, said, limits=(50, 4096)):
    engine = Scripted(said)
    stops = frozenset({encoder.end_of_turn})
    with TemporaryDirectory() as folder, Journal(Path(folder) / "probes") as journal:
        table = ask_plans(engine, encoder, rows, plans, limits, stops, journal)
    return records.check(table, records.PROBES, "probes").to_dicts(), engine


def test_the_answer_begins_with_the_forced_tag_and_end_of_turn_is_not_counted(encoder):
    said = [*encoder.plain_ids("barn</answer>"), encoder.end_of_turn]
    (found,), engine = ask(encoder, [row()], [[Probe("gold", TRACE, "a note")]], said)
    assert (found["text"], found["finish_reason"]) == ("<answer>barn</answer>", "stop")
    assert found["completion_tokens"] == len(said) - 1
    assert found["trace_tokens"] == len(encoder.plain_ids(TRACE))
    assert (found["gold_logprob"], found["trace"], found["note"]) == (-1.5, TRACE, "a note")
    (one,) = engine.asked
    assert encoder.decode(one.forced) == TRACE + "<answer>"
    assert encoder.decode(one.gold) == "home</answer>"
    assert [*one.forced, *one.gold] == [
        *encoder.plain_ids(TRACE),
        *encoder.plain_ids("<answer>home</answer>"),
    ]
    assert found["gold_tokens"] == len(one.gold)


def test_an_answer_whose_first_token_spans_the_tag_in_training_is_spelt_behind_it(encoder):
    class Merging:
        end_of_turn = encoder.end_of_turn
        prompt_ids, decode = encoder.prompt_ids, encoder.decode

        def plain_ids(self, text):
            return [0] if text.startswith("<answer>?") else encoder.plain_ids(text)

    _, engine = ask(Merging(), [row(answer="?")], [[Probe("empty", "")]], [5])
    assert engine.asked[0].gold == encoder.plain_ids("?</answer>")


def test_probes_of_a_question_that_show_the_same_trace_are_asked_once(encoder):
    plans = [[Probe("own", TRACE), Probe("gold", TRACE), Probe("empty", "")]] * 2
    found, engine = ask(encoder, [row(0), row(1)], plans, [5] * 99)
    assert len(engine.asked) == 4
    assert [(one["id"][-1], one["probe"]) for one in found] == [
        (number, probe) for number in "01" for probe in ("own", "gold", "empty")
    ]
    assert {one["finish_reason"] for one in found} == {"length"}
    assert {one["completion_tokens"] for one in found} == {50}


def test_what_does_not_apply_or_fit_is_a_row_with_its_reason(encoder):
    prompt = len(encoder.prompt_ids("", row()["prompt"]))
    tag = len(encoder.plain_ids("<answer>"))
    rows = [row(0), row(1, prompt="Mary is here. " * 40)]
    plans = [[Probe("own", None, "no trace"), Probe("gold", TRACE), Probe("empty", "")]] * 2
    room = prompt + tag + len(encoder.plain_ids("home</answer>"))
    found, engine = ask(encoder, rows, plans, [5] * 99, (50, room))
    told = [(one["finish_reason"], one["note"]) for one in found]
    absent = "not_applicable"
    assert told == [
        (absent, "no trace"),
        (absent, TOO_LONG),
        ("length", None),
        (absent, "no trace"),
        (absent, PROMPT_TOO_LONG),
        (absent, PROMPT_TOO_LONG),
    ]
    assert found[0]["gold_logprob"] is None
    assert [one.limit for one in engine.asked] == [room - prompt - tag]


def test_probes_that_are_off_load_nothing_and_give_an_empty_table():
    settings = load_params(ROOT / "params.yaml").model_copy(update={"probes": ProbeParams()})
    nowhere = Path("nowhere")
    spec = load_model(ROOT / "models.yaml", "tiny_llama")
    table, facts = probe_rows(settings, spec, "{class}", nowhere, [], [], nowhere, nowhere)
    assert records.check(table, records.PROBES, "probes").is_empty()
    assert facts == {}
