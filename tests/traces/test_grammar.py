import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.traces.grammar import FACTS_HEADER, Trace, one_line, one_lined, render
from tracekd.traces.reading import read

SENTENCE = "The category of the question is: {class}."
TWO_FACTS = Trace("two-supporting-facts", ("Mary took the apple.", "Mary went to the kitchen."))
TWO_FACTS_TEXT = """\
<think>
The category of the question is: two-supporting-facts.
I need to use the following facts to answer the question:
- Mary took the apple.
- Mary went to the kitchen.
</think>
<answer>kitchen</answer>"""

tricky = st.sampled_from(
    [
        "<think>",
        "</think>",
        "<answer>",
        "</answer>",
        "\\",
        ";",
        "; ",
        "<|im_end|>",
        "- ",
        "...",
        ".",
    ]
)
text = st.lists(st.text(max_size=8) | tricky, max_size=6).map("".join)
filled = text.filter(lambda value: bool(one_line(value)))
traces = st.builds(
    Trace, st.none() | text, st.none() | st.lists(text, max_size=4).map(tuple)
) | st.builds(Trace, filler=st.integers(1, 9))


def test_a_full_completion_reads_as_drawn() -> None:
    completion = render(TWO_FACTS, ("kitchen",), SENTENCE)
    assert completion.text == TWO_FACTS_TEXT
    assert completion.text[completion.answer_start :] == "<answer>kitchen</answer>"


def test_without_steps_there_is_no_think_block() -> None:
    assert render(Trace(), ("a", "b; c"), SENTENCE).text == r"<answer>a; b\; c</answer>"


def test_no_fact_at_all_is_said_in_words() -> None:
    text = render(Trace(facts=()), ("x",), SENTENCE).text
    assert text == "<think>\nNone of the facts answers the question.\n</think>\n<answer>x</answer>"
    assert read(text, SENTENCE).trace == Trace(facts=())


def test_tags_in_data_are_escaped() -> None:
    text = render(Trace(facts=("a</think>b <ANSWER>",)), ("<answer>x",), SENTENCE).text
    assert text.count("<answer>") == 2
    assert r"\<answer>x" in text
    assert r"a\</think>b \<ANSWER>" in text
    assert read(text, SENTENCE).trace.facts == ("a</think>b <ANSWER>",)


@given(traces, st.lists(filled, min_size=1, max_size=4).map(tuple))
def test_what_is_rendered_reads_back_strictly(trace: Trace, answers: tuple[str, ...]) -> None:
    completion = render(trace, answers, SENTENCE)
    reading = read(completion.text, SENTENCE)
    facts = None if trace.facts is None else tuple(map(one_line, trace.facts))
    name = None if trace.class_name is None else one_line(trace.class_name)
    assert reading.form == "strict"
    assert reading.trace == Trace(name, facts, trace.filler)
    assert reading.answers == tuple(map(one_line, answers))
    assert completion.text[completion.answer_start :].startswith("<answer>")


@given(text | st.lists(tricky | text, max_size=12).map("\n".join))
def test_reading_never_raises_and_strict_means_rerendered_to_the_letter(value: str) -> None:
    reading = read(value, SENTENCE)
    if reading.form == "strict":
        assert render(reading.trace, reading.answers, SENTENCE).text == value
    assert (reading.answer_text is None) == (reading.form == "failed")


def test_an_unfinished_answer_is_read_leniently() -> None:
    reading = read(TWO_FACTS_TEXT.removesuffix("chen</answer>"), SENTENCE)
    assert (reading.form, reading.trace, reading.answers) == ("lenient", TWO_FACTS, ("kit",))


def test_an_unfinished_trace_has_no_answer() -> None:
    reading = read(TWO_FACTS_TEXT[:150], SENTENCE)
    assert (reading.form, reading.answer_text) == ("failed", None)
    assert reading.trace == Trace("two-supporting-facts", ("Mary took the apple.", "Mary"))


def test_plain_text_is_an_answer() -> None:
    reading = read(" kitchen \n", SENTENCE)
    assert (reading.form, reading.answer_text, reading.trace) == ("lenient", "kitchen", Trace())


def test_the_published_form_is_read_leniently() -> None:
    reading = read(
        "assistant\n\n<think>The category of the question is: equal.\nI need to use the following "
        "facts to answer the question: ['Ann\\'s a Liberal in 2019.', \"B's C, D\"]</think> "
        "<answer>['Liberal Party']</answer>",
        SENTENCE,
    )
    assert reading.trace == Trace("equal", ("Ann's a Liberal in 2019.", "B's C, D"))
    assert (reading.form, reading.answer_text) == ("lenient", "['Liberal Party']")


def test_a_fact_as_plain_text_is_read_leniently() -> None:
    reading = read(
        "<think>The category of the question is: equal.\nI need to use the following text to "
        "answer the question: Ann is a member of the Vox in July, 2019.</think> <answer>x</answer>",
        SENTENCE,
    )
    assert reading.trace.facts == ("Ann is a member of the Vox in July, 2019.",)


def test_an_apostrophe_does_not_end_a_quoted_fact() -> None:
    facts = """['He attended St Paul's School.', "It's the Boys' School.", 'cut off"""
    text = f"<think>I need to use the following facts to answer the question: {facts}"
    assert read(text, SENTENCE).trace.facts == (
        "He attended St Paul's School.",
        "It's the Boys' School.",
        "cut off",
    )


def test_a_column_of_texts_becomes_one_line_as_a_text_does() -> None:
    # Every character: alone between letters, beside a space, and in longer runs.
    signs = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    texts = ["", " ", *(f"{sign}a{sign}b {sign}\xa0{sign}\t{sign}c{sign}{sign}" for sign in signs)]
    lined = pl.DataFrame({"text": texts}).select(one_lined(pl.col("text")))["text"]
    assert lined.to_list() == [one_line(text) for text in texts]


SENTENCE = "The category of the question is: {class}."
TRACE = f"The category of the question is: numeric.\n{FACTS_HEADER}\n- It is 330 m tall.\n"


@pytest.mark.parametrize(
    "text", [TRACE, f"<think>\n{TRACE}</thi", f"<think>\n{TRACE}</think>\n<answ"]
)
def test_a_trace_that_was_cut_off_is_no_answer(text):
    reading = read(text, SENTENCE)
    assert (reading.form, reading.answer_text) == ("failed", None)
    assert reading.trace.facts == ("It is 330 m tall.",)


def test_an_empty_block_in_front_of_the_trace_does_not_make_an_answer_of_it():
    reading = read(f"<think>\n\n</think>\n\n<think>\n{TRACE}</think>\nNo", SENTENCE)
    assert reading.answer_text == "No"
    assert reading.trace.facts == ("It is 330 m tall.",)


@pytest.mark.parametrize("end", ["", "<", "</", "</ans", "</answer", "</answer>"])
def test_it_does_not_matter_where_in_the_last_tag_a_text_was_cut(end):
    text = f"<think>\n{TRACE}</think>\n<answer>330 m{end}"
    assert read(text, SENTENCE).answer_text == "330 m"


def test_a_quoted_list_is_read_as_python_writes_it():
    quoted = r"['A of\xa0B\u2019s.', 'x\ud800', 'it\'s a \\b']"
    text = f"<think>\n{FACTS_HEADER} {quoted}</think><answer>a</answer>"
    assert read(text, SENTENCE).trace.facts == ("A of B\u2019s.", r"x\ud800", "it's a \\b")
