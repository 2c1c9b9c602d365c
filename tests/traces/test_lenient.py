import pytest

from tracekd.traces.form import FACTS_HEADER, Trace
from tracekd.traces.grammar import Grammar
from tracekd.traces.lenient import answer_start, is_cut_off, thought_of

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


@pytest.mark.parametrize("text", ["kitchen", TRACE, f"Sure. {TRACE} So: kitchen."])
def test_without_training_a_text_without_tags_is_an_answer_as_a_whole(text: str) -> None:
    untuned = Grammar("The category of the question is: {class}.", untagged=True)
    reading = untuned.read(text)
    assert (reading.answer_text, reading.trace) == (" ".join(text.split()), Trace())
    assert answer_start(text, untagged=True) == 0
    assert thought_of(text, untagged=True) is None
    free = Grammar("{class}", untagged=True, free_text=True).read(text)
    assert (free.answer_text, free.trace) == (reading.answer_text, Trace())
    for tagged in (
        f"<think>\n{TRACE}</thi",
        f"<think>\n{TRACE}</think>\n<answer>a</answer>",
        "<think>",
    ):
        assert untuned.read(tagged) == GRAMMAR.read(tagged)


@pytest.mark.parametrize("blank", ["", "\t", "\u2003", "\x85", "\x1c", " \u3000 "])
def test_an_answer_of_white_space_is_none(blank: str) -> None:
    assert GRAMMAR.read(f"<answer>{blank}</answer>").form == "failed"


KITCHEN = "<answer>kitchen</answer>"


@pytest.mark.parametrize(
    "text",
    [
        f"<think>\nMaybe <answer>garden</answer>? No.\n</think>\n{KITCHEN}",
        f"<think>\nin <answer></answer> tags.\n</think>\n\n{KITCHEN}",
        f"<think>a<think>b</think> <answer>garden</answer></think>{KITCHEN}",
        f"<think>a</think><answer>garden</answer><think>wait</think>{KITCHEN}",
        "<think>only <answer>garden</answer> inside</think>\nkitchen",
        f"<think>not closed\n{KITCHEN}",
        f"I answer in <answer> </answer> tags: {KITCHEN}",
    ],
)
def test_what_precedes_the_last_end_of_thought_is_no_answer(text: str) -> None:
    assert GRAMMAR.read(text).answers == ("kitchen",)


@pytest.mark.parametrize(
    "text",
    [
        "<think>only <answer>garden</answer></think>",
        "<think>Maybe <answer>garden</answer>? No, wait",
        "<think>\nI put it in <answer> tags. Let",
        "<think>a</think>\n<think>b",
    ],
)
def test_who_is_still_thinking_has_not_answered(text: str) -> None:
    assert GRAMMAR.read(text).form == "failed"


@pytest.mark.parametrize(
    "text",
    [
        "assistant\n\nkitchen",
        "<|im_start|>assistant\nkitchen<|im_end|>",
        "<|start_header_id|>assistant<|end_header_id|>\n\nkitchen<|eot_id|>",
        "<start_of_turn>model\nkitchen<end_of_turn>",
        "Assistant: kitchen",
        "assistant\n<think>\n\n</think>\n\n <answer>kitchen</answer></s>",
        "```\nkitchen\n```",
        "< ANSWER > kitchen </ answer>",
        "<answer>```json\n['kitchen']\n```",
    ],
)
def test_what_templates_and_fences_put_around_an_answer_is_not_read(text: str) -> None:
    assert GRAMMAR.read(text).answers == ("kitchen",)
    assert GRAMMAR.read("assistant professor").answers == ("assistant professor",)


def test_lists_are_read_as_python_and_json_write_them() -> None:
    for listing in ("['a b', \"c's\"]", '["a b", "c\'s"]', "[a b, c's]", "a b; c's"):
        assert GRAMMAR.read(f"{listing}\n").answers == ("a b", "c's")


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("<think>a", True),
        ("<answer>a", True),
        ("<answer>a</ans", True),
        ("<answer>a</answer>", False),
    ],
)
def test_a_text_is_cut_off_if_it_ends_inside_a_block_or_tag(text: str, cut: bool) -> None:
    assert is_cut_off(text) is cut


def test_an_escaped_tag_is_text_in_lenient_texts_too() -> None:
    reading = GRAMMAR.read(f"<think>\n{FACTS_HEADER}\n- a\\</think>b\n</think>\n{KITCHEN}\n")
    assert (reading.trace.facts, reading.answers) == (("a</think>b",), ("kitchen",))


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
        # The paper's own words for bAbI and MS MARCO, and others of the same pattern.
        "The category of the question represents what is being asked in that question. The "
        "category of the question asked is: counting.",
        "The category of this question is: counting.",
    ],
)
def test_a_class_is_read_in_other_spellings(line: str) -> None:
    assert GRAMMAR.read(f"<think>{line}</think><answer>2</answer>").trace.class_name == "counting"


def test_a_class_in_unknown_words_is_read_as_one_that_no_dataset_has() -> None:
    text = f"assistant\n\n<think>It is a counting task.\n{FACTS_HEADER}\n- a\n</think>2"
    assert GRAMMAR.read(text).trace == Trace("It is a counting task.", ("a",))
    relation = "The relation between the event in question and the event in context is: {class}."
    line = relation.replace("in ", "in the ").format(**{"class": "during"})
    reading = Grammar(relation).read(f"<think>{line}\n</think> <answer>x</answer>")
    assert reading.trace.class_name == "during"


def test_an_answer_tag_within_an_answer_is_not_part_of_it() -> None:
    reading = GRAMMAR.read("<answer><answer>kitchen</answer></answer>")
    assert (reading.form, reading.answer_text) == ("lenient", "kitchen")
