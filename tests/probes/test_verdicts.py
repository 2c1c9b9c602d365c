import polars as pl
import pytest
from tables import BABI, completion, prediction, predictions, question, questions

from tracekd import records
from tracekd.errors import TracekdError
from tracekd.probes.verdicts import judge_probes, report


def probe(key, name, text, trace="", **changes):
    row = {
        "id": key,
        "probe": name,
        "trace": trace,
        "text": text,
        "finish_reason": "stop" if text else "not_applicable",
        "trace_tokens": 3,
        "completion_tokens": 2,
        "gold_logprob": -1.0 if text else None,
        "gold_tokens": 2,
        "note": None if text else "why",
    }
    return row | changes


def probes(*rows):
    return pl.DataFrame(list(rows), schema=dict(records.PROBES))


def shown(*facts):
    return completion("who", list(facts), "x").removesuffix("<answer>x</answer>")


ASKED = questions(
    question("q/1", context=["Mary went home.", "John left the barn.", "Sue went home."])
)


SAID = predictions(prediction("q/1", completion("where", ["Mary went home."], "home")))


def from_wrong(said, *facts, asked=ASKED):
    rows = [
        probe("q/1", "gold", "<answer>home</answer>"),
        probe("q/1", "incorrect", f"<answer>{said}</answer>", shown(*facts)),
    ]
    return judge_probes(probes(*rows), SAID, asked, BABI)["from_wrong"].to_list()


def test_each_answer_is_judged_and_one_that_was_not_asked_is_not():
    judged = judge_probes(
        probes(
            probe("q/1", "gold", "<answer>Home.</answer>"),
            probe("q/1", "empty", "<answer>barn; attic"),
            probe("q/1", "filler", "<answer>", finish_reason="length"),
            probe("q/1", "own", ""),
        ),
        SAID,
        ASKED,
        BABI,
    )
    assert judged["applied"].to_list() == [True, True, True, False]
    assert judged["answer"].to_list() == ["home", "attic; barn", "", None]
    assert judged["correct"].to_list() == [True, False, False, None]
    assert judged["note"].to_list() == [None, None, None, "why"]


@pytest.mark.parametrize(
    ("said", "facts", "follows"),
    [
        ("barn", ["John left the barn."], True),
        ("Barn", ["John left the barn."], True),
        ("attic", ["John left the barn."], False),
        ("bar", ["John left the barn."], False),
        ("barn; attic", ["John left the barn."], False),
        ("home", ["John left the barn."], False),
    ],
)
def test_an_answer_follows_the_wrong_facts_if_they_state_all_of_it(said, facts, follows):
    assert from_wrong(said, *facts) == [False, follows]


def test_following_cannot_be_told_where_wrong_facts_state_the_gold_answer_or_none_does():
    assert from_wrong("home", "Sue went home.") == [None, None]
    counting = questions(question("q/1", answer_in_facts=False))
    assert from_wrong("barn", "John left the barn.", asked=counting) == [None, None]
    assert from_wrong("barn") == [None, None]


def test_probes_that_are_off_add_nothing():
    assert report(probes(), SAID, ASKED, BABI) == ({}, {})


@pytest.mark.parametrize(
    ("predicted", "behind_own", "repeats"),
    [
        ("home", "Home.", True),
        ("barn; home", "home, barn", True),
        ("home", "barn", False),
        ("home", "home; barn", False),
    ],
)
def test_an_answer_behind_the_own_trace_is_compared_with_the_prediction(
    predicted, behind_own, repeats
):
    trace = shown("Mary went home.")
    said = predictions(prediction("q/1", f"{trace}<ANSWER>{predicted}</ANSWER>"))
    rows = [
        probe("q/1", "own", f"<answer>{behind_own}</answer>", trace),
        probe("q/1", "gold", f"<answer>{predicted}</answer>", trace),
    ]
    judged = judge_probes(probes(*rows), said, ASKED, BABI)
    assert judged["repeats"].to_list() == [repeats, None]
    section, _ = report(probes(*rows), said, ASKED, BABI)
    found = section["probes"]["own_repeats_prediction"]
    assert (found["n"], found["share"]) == (1, float(repeats))


def test_a_question_that_is_unknown_or_has_no_prediction_is_named():
    unknown = probes(probe("q/7", "own", "<answer>x</answer>"))
    with pytest.raises(TracekdError, match=r"of 1 questions that are unknown or have no prediction: q/7; run"):
        judge_probes(unknown, SAID, ASKED, BABI)
    more = questions(question("q/1"), question("q/7"))
    with pytest.raises(TracekdError, match=r"of 1 questions that are unknown or have no prediction: q/7; run"):
        judge_probes(unknown, SAID, more, BABI)
