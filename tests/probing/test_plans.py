import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.probing.plans import (
    CUTS,
    EMPTY,
    NO_ANSWER_PART,
    NO_STEP,
    NO_TRACE,
    NOT_READABLE,
    PROBES,
    RIGHT_ALREADY,
    WRONG_ALREADY,
    choose,
    cut,
    own_trace,
    plan,
)
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import NO_OTHER_CLASS, NO_OTHER_TRACE, Donors, Gold, RegimeContext, show

GRAMMAR = Grammar("The category of the question is: {class}.")
GOLD = Gold("q/1", "where", ("Mary went home.", "John left.", "Sue slept."), (0,))
OTHER = Gold("q/2", "who", ("Bill ran.",), (0,))
RIGHT = GRAMMAR.render_trace(Trace("where", ("Mary went home.",)))


class Words:
    """A token is a word or a character of white space; its id is its place in a list."""

    def __init__(self):
        self.known = []

    def completion_ids(self, text):
        words = re.findall(r"\S+|\s", text)
        self.known += [word for word in dict.fromkeys(words) if word not in self.known]
        return [self.known.index(word) for word in words]

    def decode(self, ids):
        return "".join(self.known[token] for token in ids)


class Bytes:
    """A token is a byte: a cut may fall inside a character."""

    def completion_ids(self, text):
        return list(text.encode())

    def decode(self, ids):
        return bytes(ids).decode(errors="replace")


def context(*golds, classes=("where", "who"), seed=3):
    return RegimeContext(seed, 1.0, classes, GRAMMAR, Donors(golds or (GOLD, OTHER), seed))


def planned(text, gold=GOLD, **settings):
    return {probe.name: probe for probe in plan(gold, text, context(**settings), Words())}


def test_given_traces_are_what_the_regimes_show_for_the_same_seed_and_question():
    found = planned("<answer>home</answer>")
    for name, regime in (("gold", "correct"), ("incorrect", "incorrect"), ("shuffled", "shuffled")):
        shown = show(regime, GOLD, context())
        assert found[name].trace == GRAMMAR.render_trace(shown.trace)
    assert found["gold"].trace == RIGHT
    assert "Bill ran." in found["shuffled"].trace
    assert found["empty"].trace == EMPTY


@pytest.mark.parametrize(
    ("text", "own", "filled", "edited"),
    [
        ("<answer>home</answer>", ("", None), (None, NO_TRACE), (None, NO_STEP)),
        ("<think>\nThe category", *[(None, NO_ANSWER_PART)] * 3),
        ("I think.<answer>home</answer>", ("I think.", None), None, (None, NOT_READABLE)),
    ],
    ids=["no trace", "no answer part", "not strict"],
)
def test_a_text_without_a_readable_trace_is_not_edited(text, own, filled, edited):
    found = planned(text)
    shown = {name: (probe.trace, probe.note) for name, probe in found.items()}
    assert list(found) == list(PROBES)
    assert shown["own"] == own
    assert filled in (None, shown["filler"])
    if filled:
        assert {shown[f"own_cut_{percent}"] for percent in CUTS} == {own}
    assert {shown[name] for name in PROBES[-4:]} == {edited}
    assert found["gold"].trace == RIGHT


def test_right_steps_are_corrupted_as_the_incorrect_regime_would_and_not_corrected():
    found = planned(RIGHT + "<answer>home</answer>")
    wrong = show("incorrect", GOLD, context()).trace
    assert found["own"].trace == RIGHT
    other = GRAMMAR.render_trace(Trace(wrong.class_name, ("Mary went home.",)))
    assert found["corrupted_class"].trace == other
    assert found["corrupted_facts"].trace == GRAMMAR.render_trace(Trace("where", wrong.facts))
    for step in ("class", "facts"):
        probe = found[f"corrected_{step}"]
        assert (probe.trace, probe.note) == (None, RIGHT_ALREADY)
    # Facts in another order are right too.
    own = GRAMMAR.render_trace(Trace("where", ("John left.", "Mary went home.")))
    found = planned(own + "<answer>home</answer>", Gold("q/1", "where", GOLD.context, (0, 1)))
    assert found["corrected_facts"].note == RIGHT_ALREADY


def test_wrong_steps_are_corrected_one_at_a_time():
    own = GRAMMAR.render_trace(Trace("who", ("John left.",)))
    found = planned(own + "<answer>home</answer>")
    assert found["corrected_class"].trace == own.replace("who", "where")
    assert found["corrected_facts"].trace == own.replace("John left.", "Mary went home.")
    for step in ("class", "facts"):
        assert found[f"corrupted_{step}"].note == WRONG_ALREADY


def test_a_probe_that_the_data_do_not_allow_has_a_note():
    found = planned(RIGHT + "<answer>home</answer>", classes=("where",))
    assert (found["corrupted_class"].trace, found["corrupted_class"].note) == (None, NO_OTHER_CLASS)
    assert NO_OTHER_CLASS in found["incorrect"].note
    alone = plan(GOLD, "", context(GOLD), Words())[PROBES.index("shuffled")]
    assert (alone.trace, alone.note) == (None, NO_OTHER_TRACE)


def test_a_cut_keeps_the_tags_and_the_first_tokens_between_them():
    words = Words()
    trace = "<think>\na b c d\n</think>\n"  # seven tokens between the tags, three of them spaces
    assert cut(trace, 0, words) == EMPTY
    assert cut("a b", 0, words) == cut("", 50, words) == ""
    for percent, kept in ((25, "a"), (50, "a b"), (75, "a b c")):
        assert cut(trace, percent, words) == f"<think>\n{kept}\n</think>\n"
    assert cut(trace, 100, words) == trace
    assert cut("a b c d", 50, words) == "a b"
    # Not half a character.
    assert cut("<think>\n\u00e9\u00e9\n</think>\n", 75, Bytes()) == "<think>\n\u00e9\n</think>\n"


@given(st.lists(st.sampled_from("abcdefgh"), min_size=1))
def test_the_filler_is_as_long_as_the_students_own_trace(facts):
    words = Words()
    own = GRAMMAR.render_trace(Trace("where", tuple(facts)))
    filled = plan(GOLD, own + "<answer>home</answer>", context(), words)[PROBES.index("filler")]
    lengths = [len(words.completion_ids(trace)) for trace in (filled.trace, own)]
    assert abs(lengths[0] - lengths[1]) <= 1


def test_own_trace_ends_where_the_answer_part_begins():
    assert own_trace("<answer>x") == ""
    assert own_trace("abc\n<ANSWER>x</ANSWER>") == "abc\n"
    assert own_trace("a<answer>b<answer>c") == "a"
    assert own_trace("no tag") is None
    assert (
        own_trace("<think><answer>a</answer></think><answer>b")
        == "<think><answer>a</answer></think>"
    )


def test_the_same_questions_are_chosen_whatever_the_order_and_more_with_a_higher_limit():
    ids = [f"q/{number}" for number in range(50)]
    few, more = choose(ids, 5, 0), choose(ids, 9, 0)
    assert len(few) == 5
    assert set(few) < set(more)
    assert few == sorted(few, key=ids.index)
    assert set(choose(ids[::-1], 5, 0)) == set(few)
    assert set(choose(ids, 5, 1)) != set(few)
    assert choose(ids, None, 0) == choose(ids, 99, 0) == ids


def test_a_trace_in_free_text_is_probed_as_a_whole():
    text = "<think>\nShe went home, so home.\n</think>\n<answer>home</answer>"
    probes = {probe.name: probe for probe in plan(GOLD, text, context(), Words())}
    assert probes["own"].trace == "<think>\nShe went home, so home.\n</think>\n"
    assert probes["own_cut_50"].trace == "<think>\nShe went \n</think>\n"
    assert probes["filler"].trace.startswith("<think>\n... ...")
    assert probes["gold"].trace == RIGHT
    assert {probes[f"corrupted_{step}"].note for step in ("class", "facts")} == {NOT_READABLE}
