import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.text import one_line
from tracekd.traces.form import FACTS_HEADER, NO_FACTS, Reading, Trace, split_answers
from tracekd.traces.grammar import Grammar

GRAMMAR = Grammar("The category of the question is: {class}.")
TWO_FACTS = Trace("two-supporting-facts", ("Mary took the apple.", "Mary went to the kitchen."))
TWO_FACTS_TEXT = """\
<think>
The category of the question is: two-supporting-facts.
I need to use the following facts to answer the question:
- Mary took the apple.
- Mary went to the kitchen.
</think>
<answer>kitchen</answer>"""
#: Pieces of the grammar, and what breaks readers.
PIECES = [
    *("<think>", "</think>", "<answer>", "</answer>", "<THINK>", "<|im_end|>", "\\", ";", "; "),
    *("\n", "\n- ", "- ", "1. ", "...", ".", FACTS_HEADER, NO_FACTS, "\\;", "\\<"),
    *("\u0130", "\x85", "The category of the question is: ", "counting", "I need to"),
    *("['a', \"b\"]", "', '", "Mary's"),
]

text = st.lists(st.text(max_size=8) | st.sampled_from(PIECES), max_size=8).map("".join)
filled = text.filter(lambda value: bool(one_line(value)))
traces = st.builds(
    Trace, st.none() | text, st.none() | st.lists(text, max_size=4).map(tuple)
) | st.builds(Trace, filler=st.integers(1, 9))
#: Free text that shows no steps; "..." alone would be a filler.
free_texts = filled.map(str.strip).filter(
    lambda value: FACTS_HEADER not in value and NO_FACTS not in value and value.strip(". ")
)
sentences = st.sampled_from(
    [
        "The category of the question is: {class}.",
        *("{class}", "- {class}", "(.*) {class} [a", "I {class}:"),
    ]
)


@pytest.mark.parametrize(
    ("trace", "answers", "expected"),
    [
        (TWO_FACTS, ("kitchen",), TWO_FACTS_TEXT),
        (Trace(), ("a", "b; c"), r"<answer>a; b\; c</answer>"),
        (
            Trace(facts=()),
            ("x",),
            "<think>\nNone of the facts answers the question.\n</think>\n<answer>x</answer>",
        ),
        (
            Trace(facts=("a</think>b <ANSWER>",)),
            ("<answer>x",),
            f"<think>\n{FACTS_HEADER}\n- a\\</think>b \\<ANSWER>\n</think>\n"
            "<answer>\\<answer>x</answer>",
        ),
    ],
    ids=["two facts", "no step", "no fact", "tags in data"],
)
def test_a_completion_reads_as_drawn(trace: Trace, answers: tuple[str, ...], expected: str) -> None:
    assert GRAMMAR.render(trace, answers) == expected
    assert GRAMMAR.render_trace(trace) == expected[: expected.index("<answer>")]
    assert GRAMMAR.read(expected) == Reading("strict", trace, "; ".join(answers), answers)


@pytest.mark.parametrize("answers", [(), ("a", " \n")])
def test_a_completion_without_answers_or_with_a_blank_one_is_refused(
    answers: tuple[str, ...],
) -> None:
    with pytest.raises(ValueError, match="not blank"):
        GRAMMAR.render(Trace(), answers)


@pytest.mark.parametrize("trace", [Trace("counting", filler=3), Trace(facts=(), text="Hm.")])
def test_a_filler_or_free_text_beside_steps_is_refused(trace: Trace) -> None:
    with pytest.raises(ValueError, match="no steps"):
        GRAMMAR.render_trace(trace)


@given(free_texts, st.lists(filled, min_size=1, max_size=4).map(tuple))
def test_free_text_is_read_back_as_it_was_where_it_is_taught(
    value: str, answers: tuple[str, ...]
) -> None:
    free = Grammar("Class {class} of this question is known.", free_text=True)
    reading = free.read(free.render(Trace(text=value), answers))
    assert reading.form == "strict"
    assert reading.trace == Trace(text="\n".join(value.splitlines()))
    assert reading.answers == tuple(map(one_line, answers))


@pytest.mark.parametrize(
    ("text", "form", "trace"),
    [
        ("<think>\nHm.\n\nSo it is.\n</think>\n<answer>x</answer>", "strict", "Hm.\n\nSo it is."),
        ("<think>Hm.</think><answer>x</answer>", "lenient", "Hm."),
        ("<answer>x</answer>", "strict", None),
        ("x", "lenient", None),
        ("<think>\nHm. Hm. Hm.", "failed", "Hm. Hm. Hm."),
    ],
)
def test_free_text_has_no_steps(text: str, form: str, trace: str | None) -> None:
    reading = Grammar("{class}?", free_text=True).read(text)
    assert (reading.form, reading.trace) == (form, Trace(text=trace))
    assert GRAMMAR.read(text).trace.text is None


@given(sentences, traces, st.lists(filled, min_size=1, max_size=4).map(tuple))
def test_what_is_rendered_is_read_back_strictly(
    sentence: str, trace: Trace, answers: tuple[str, ...]
) -> None:
    grammar = Grammar(sentence)
    reading = grammar.read(grammar.render(trace, answers))
    facts = None if trace.facts is None else tuple(map(one_line, trace.facts))
    name = None if trace.class_name is None else one_line(trace.class_name)
    # A class line in the exact words of a filler or a facts step cannot be told from one.
    if sentence.startswith("The"):
        assert reading.form == "strict"
        assert reading.trace == Trace(name, facts, trace.filler)
        assert reading.answers == tuple(map(one_line, answers))


@given(sentences, text | st.lists(text, max_size=12).map("\n".join))
def test_any_text_is_read_and_strict_only_if_rendering_gives_it_back(
    sentence: str, value: str
) -> None:
    grammar = Grammar(sentence)
    reading = grammar.read(value)
    if reading.form == "strict":
        assert grammar.render(reading.trace, reading.answers) == value
    assert (reading.answer_text is None) == (reading.form == "failed")
    assert all(map(one_line, reading.answers))


@pytest.mark.parametrize(
    "value",
    [
        "x" * 2_000_000,
        f"<think>{FACTS_HEADER}\n[" + " " * 500_000 + "x",
        f"<think>{FACTS_HEADER}\n[" + "'a', " * 100_000,
        "<think>\n" + "\n</think>\n<answer>" * 50_000,
        "<answer>" + "\\" * 500_001,
        "<answer>" + "; " * 100_000 + "</answer>",
        "The category of the question is: " * 30_000,
        "\n- " * 200_000,
    ],
    ids=lambda value: repr(value[:20]),
)
def test_long_texts_are_read_in_linear_time(value: str) -> None:
    started = time.process_time()
    GRAMMAR.read(value)
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    ("text", "answers"),
    [("a\\", ("a\\",)), ("\\", ("\\",)), (r"a\;b; c", ("a;b", "c")), (r"a; b\\", ("a", "b\\"))],
)
def test_answers_are_split_at_unescaped_semicolons_and_lose_nothing(text, answers):
    assert split_answers(text) == answers
