"""From probes to a verdict on each answer."""

import polars as pl
import pytest
from tables import BABI, completion, prediction, predictions, question, questions

from tracekd import records
from tracekd.errors import TracekdError
from tracekd.probing.verdicts import judge_probes, report


def probe(key, name, text, trace="", **changes):
    row = {"id": key, "probe": name, "trace": trace, "text": text, "finish_reason": "stop"}
    row |= {"trace_tokens": 3, "completion_tokens": 2, "gold_logprob": -1.0, "gold_tokens": 2}
    absent = {"finish_reason": "not_applicable", "gold_logprob": None, "note": "why"}
    return row | ({} if text else absent) | changes


def probes(*rows):
    return pl.DataFrame(list(rows), schema=records.PROBES)


def trace(*facts):
    return completion("who", list(facts), "x").removesuffix("<answer>x</answer>")


CONTEXT = ["Mary went home.", "John left the barn.", "Sue went home."]
ASKED = questions(question("q/1", context=CONTEXT))
PREDICTED = predictions(prediction("q/1", completion("where", ["Mary went home."], "home")))


def from_wrong(answer, *facts, asked=ASKED):
    """Return the verdict given the gold trace, and given a trace of wrong facts."""
    rows = [
        probe("q/1", "gold", "<answer>home</answer>"),
        probe("q/1", "incorrect", f"<answer>{answer}</answer>", trace(*facts)),
    ]
    return judge_probes(probes(*rows), PREDICTED, asked, BABI)["from_wrong"].to_list()


def test_each_answer_is_judged_unless_its_probe_was_not_run():
    rows = [
        probe("q/1", "gold", "<answer>Home.</answer>"),
        probe("q/1", "empty", "<answer>barn; attic"),
        probe("q/1", "filler", "<answer>", finish_reason="length"),
        probe("q/1", "own", ""),
    ]
    judged = judge_probes(probes(*rows), PREDICTED, ASKED, BABI)
    assert judged.select("applied", "answer", "correct", "note").rows() == [
        (True, "home", True, None),
        (True, "attic; barn", False, None),
        (True, "", False, None),
        (False, None, None, "why"),
    ]


@pytest.mark.parametrize("answer", ["barn", "Barn", "attic", "bar", "barn; attic", "home"])
def test_an_answer_follows_the_wrong_facts_if_they_state_all_of_it(answer):
    assert from_wrong(answer, "John left the barn.") == [False, answer in ("barn", "Barn")]


def test_nothing_shows_following_if_wrong_facts_state_the_gold_answer_or_no_fact_does():
    assert from_wrong("home", "Sue went home.") == [None, None]
    counting = questions(question("q/1", answer_in_facts=False))
    assert from_wrong("barn", "John left the barn.", asked=counting) == [None, None]
    assert from_wrong("barn") == [None, None]


@pytest.mark.parametrize(
    ("predicted", "answer", "repeats"),
    [
        ("home", "Home.", True),
        ("barn; home", "home, barn", True),
        ("home", "barn", False),
        ("home", "home; barn", False),
    ],
)
def test_the_answer_given_the_own_trace_is_compared_with_the_prediction(predicted, answer, repeats):
    own = trace("Mary went home.")
    rows = [
        probe("q/1", "own", f"<answer>{answer}</answer>", own),
        probe("q/1", "gold", f"<answer>{predicted}</answer>", own),
    ]
    before = predictions(prediction("q/1", f"{own}<ANSWER>{predicted}</ANSWER>"))
    judged = judge_probes(probes(*rows), before, ASKED, BABI)
    assert judged["repeats"].to_list() == [repeats, None]
    found = report(probes(*rows), before, ASKED, BABI)[0]["probes"]["own_repeats_prediction"]
    assert (found["n"], found["share"]) == (1, float(repeats))


@pytest.mark.parametrize("asked", [("q/1",), ("q/1", "q/7")])
def test_a_question_that_is_unknown_or_has_no_prediction_is_named(asked):
    unknown = probes(probe("q/7", "own", "<answer>x</answer>"))
    table = questions(*(question(key) for key in asked))
    with pytest.raises(TracekdError, match=r"unknown or have no prediction: q/7; run the probe"):
        judge_probes(unknown, PREDICTED, table, BABI)
