import pytest

from tracekd.traces.form import FACTS_HEADER, Trace
from tracekd.traces.grammar import Grammar

GRAMMAR = Grammar("The category of the question is: {class}.")
TRACE = f"The category of the question is: numeric.\n{FACTS_HEADER}\n- It is 330 m tall.\n"
STEPS = Trace("numeric", ("It is 330 m tall.",))


def test_plain_text_is_an_answer() -> None:
    reading = GRAMMAR.read(" kitchen \n")
    assert (reading.form, reading.answer_text, reading.trace) == ("lenient", "kitchen", Trace())


@pytest.mark.parametrize(
    "text",
    [
        "<answer>a;b</answer>",
        "<answer> a</answer>",
        "<answer>a</answer>\n",
        "<answer>a <think> b</answer>",
        f"<think>\n{TRACE}\n</think>\n<answer>a</answer>",
        "<think>\nthe category of the question is: x.\n</think>\n<answer>a</answer>",
        f"<think>\n{FACTS_HEADER}\n- a  b\n</think>\n<answer>a</answer>",
    ],
)
def test_what_only_resembles_the_grammar_is_not_strict(text: str) -> None:
    assert GRAMMAR.read(text).form == "lenient"


@pytest.mark.parametrize("end", ["", "<", "</", "</ans", "</answer", "</answer> Yes."])
def test_an_answer_is_read_wherever_its_end_is_cut_off(end: str) -> None:
    reading = GRAMMAR.read(f"<think>\n{TRACE}</think>\n<answer>330 m; 2{end}")
    assert (reading.form, reading.trace) == ("lenient", STEPS)
    assert (reading.answer_text, reading.answers) == ("330 m; 2", ("330 m", "2"))


@pytest.mark.parametrize(
    "text", [TRACE, f"<think>\n{TRACE}</thi", f"<think>\n{TRACE}</think>\n<answ"]
)
def test_a_trace_that_is_cut_off_is_no_answer(text: str) -> None:
    reading = GRAMMAR.read(text)
    assert (reading.form, reading.answer_text, reading.answers) == ("failed", None, ())
    assert reading.trace == STEPS


@pytest.mark.parametrize("blank", ["", "\t", "\u2003", "\x85", "\x1c", " \u3000 "])
def test_an_answer_of_white_space_is_none(blank: str) -> None:
    assert GRAMMAR.read(f"<answer>{blank}</answer>").form == "failed"


def test_an_empty_block_before_the_trace_does_not_turn_the_trace_into_an_answer() -> None:
    reading = GRAMMAR.read(f"<think>\n\n</think>\n\n<think>\n{TRACE}</think>\nNo")
    assert (reading.answer_text, reading.trace) == ("No", STEPS)


def test_the_published_form_is_read() -> None:
    reading = GRAMMAR.read(
        "assistant\n\n<think>The category of the question is: equal.\nI need to use the following "
        "facts to answer the question: ['Ann\\'s a Liberal in 2019.', \"B's C, D\"]</think> "
        "<answer>['Liberal Party']</answer>"
    )
    assert reading.trace == Trace("equal", ("Ann's a Liberal in 2019.", "B's C, D"))
    assert (reading.form, reading.answer_text) == ("lenient", "['Liberal Party']")


@pytest.mark.parametrize(
    ("written", "facts"),
    [
        (
            " Ann is a member of the Vox in July, 2019.",
            ("Ann is a member of the Vox in July, 2019.",),
        ),
        ("\n* one\n2) two\n\n\u2022 three", ("one", "two", "three")),
        (
            " ['St Paul's School.', \"It's the Boys'.\", 'cut",
            ("St Paul's School.", "It's the Boys'.", "cut"),
        ),
        (
            r" ['A of\xa0B\u2019s.', 'x\ud800', 'it\'s a \\b']",
            ("A of B\u2019s.", r"x\ud800", "it's a \\b"),
        ),
    ],
    ids=["plain text", "other bullets", "quoted, with apostrophes", "quoted, with escapes"],
)
def test_facts_are_read_in_other_forms(written: str, facts: tuple[str, ...]) -> None:
    assert (
        GRAMMAR.read(f"<think>{FACTS_HEADER}{written}</think><answer>a</answer>").trace.facts
        == facts
    )


@pytest.mark.parametrize(
    "line",
    [
        "\u0130\u0130 the CATEGORY of the question is: counting.",  # their lower case is longer
        f"The category of the question is:  counting. {FACTS_HEADER} x",
        "The category of the question is: counting",
    ],
)
def test_a_class_is_read_in_other_spellings(line: str) -> None:
    assert GRAMMAR.read(f"<think>{line}</think><answer>2</answer>").trace.class_name == "counting"
