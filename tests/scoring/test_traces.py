"""Each step against its own question's gold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.scoring.traces import score_facts, score_trace
from tracekd.text import normalise, one_line
from tracekd.traces.form import Reading, Trace

CONTEXT = ["Mary\twent\n home.", "John left.", "Mary slept.", "John left."]
QUESTION = {"question_class": "where", "gold_facts": [0], "context": CONTEXT}
RIGHT = ("Mary went home.",)
BOTH = frozenset({"class", "facts"})


def scored(class_name, facts, steps=BOTH, **changes):
    reading = Reading("strict", Trace(class_name, facts), "home", ("home",))
    return score_trace(reading, {**QUESTION, **changes}, steps)


def figures(quoted, gold):
    found = score_facts(quoted, gold, CONTEXT)
    names = ("predicted", "unmatched", "lenient", "precision", "recall", "f1", "exact")
    return tuple(found[f"facts_{name}"] for name in names)


@pytest.mark.parametrize(
    ("quoted", "gold", "expected"),
    [
        # All gold facts and no other, in any order.
        (["Mary slept.", "Mary went home."], [0, 2], ([2, 0], 0, 0, 1.0, 1.0, 1.0, True)),
        # One fact too many costs precision, one too few recall.
        (["Mary went home.", "Mary slept."], [0], ([0, 2], 0, 0, 0.5, 1.0, 2 / 3, False)),
        (["Mary went home."], [0, 2], ([0], 0, 0, 1.0, 0.5, 2 / 3, False)),
        # Facts with the same text are one fact, the first of them.
        (["John left."], [1, 3], ([1], 0, 0, 1.0, 1.0, 1.0, True)),
        (["John left.", "John left."], [3], ([1], 0, 0, 1.0, 1.0, 1.0, True)),
        # A text that is no fact is a wrong fact, counted once.
        (["Mary went home.", "Mary flew.", "Mary flew."], [0], ([0], 1, 0, 0.5, 1.0, 2 / 3, False)),
        # White space, and case and punctuation, make no other fact; only the latter is lenient.
        (["Mary  went\thome."], [0], ([0], 0, 0, 1.0, 1.0, 1.0, True)),
        (["mary went home"], [0], ([0], 0, 1, 1.0, 1.0, 1.0, True)),
        (["mary went home", "Mary went home."], [0], ([0], 0, 1, 1.0, 1.0, 1.0, True)),
        # No fact is right only where none is gold; a trace without the step is never right.
        ([], [], ([], 0, 0, 1.0, 1.0, 1.0, True)),
        ([], [0], ([], 0, 0, 0.0, 0.0, 0.0, False)),
        (["Mary slept."], [], ([2], 0, 0, 0.0, 0.0, 0.0, False)),
        (None, [], (None, 0, 0, 0.0, 0.0, 0.0, False)),
        (None, [0], (None, 0, 0, 0.0, 0.0, 0.0, False)),
    ],
)
def test_facts_by_hand(quoted, gold, expected):
    assert figures(quoted, gold) == expected


LETTERS = "aA.\u0130\u017f\u212a \t"
TEXTS = st.lists(st.text(LETTERS, max_size=3), max_size=4)


@given(TEXTS, TEXTS, st.sets(st.integers(0, 4)))
def test_facts_as_sets_of_texts(quoted, others, chosen):
    context = ["a", *others]
    gold = [index for index in chosen if index < len(context)]
    found = score_facts(quoted, gold, context)
    same = {one_line(text) for text in quoted} <= {one_line(context[i]) for i in gold}
    covered = {one_line(context[i]) for i in gold} <= {one_line(text) for text in quoted}
    assert found["facts_exact"] >= (same and covered)
    known = {normalise(fact) for fact in context}
    wrong = {one_line(text) for text in quoted if normalise(text) not in known}
    assert found["facts_unmatched"] == len(wrong)


@pytest.mark.parametrize(
    ("named", "gold", "right"),
    [
        ("where", "where", True),
        ("WHERE.", "where", True),
        ("who", "where", False),
        (None, "where", False),
        ("Single supporting fact", "single-supporting-fact", True),
        ("Singlesupporting fact", "single-supporting-fact", False),
    ],
)
def test_the_class_is_compared_ignoring_case_and_punctuation(named, gold, right):
    found = scored(named, None, frozenset({"class"}), question_class=gold)
    assert (found["class_predicted"], found["class_correct"]) == (named, right)


@pytest.mark.parametrize(
    ("class_name", "facts"),
    [("who", RIGHT), ("where", ("Mary slept.",)), (None, RIGHT), ("where", None)],
)
def test_a_trace_is_right_if_every_taught_step_is(class_name, facts):
    assert scored("where", RIGHT)["trace_correct"] is True
    assert scored(class_name, facts)["trace_correct"] is False


def test_steps_that_are_not_taught_have_no_verdict():
    assert scored("where", RIGHT, frozenset()) == {}
    facts_only = scored("who", RIGHT, frozenset({"facts"}))
    assert not {"class_predicted", "class_correct"} & facts_only.keys()
    assert facts_only["trace_correct"]
