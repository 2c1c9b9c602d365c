"""From predictions to the table of scores."""

import pytest
from tables import BABI, completion, prediction, predictions, question, questions

from tracekd import records
from tracekd.errors import TracekdError
from tracekd.scoring.table import score, unread_steps

BOTH = frozenset({"class", "facts"})


def scored(text, read=None, **changes):
    """Return the scores of one question."""
    predicted = predictions(prediction("a", text, **changes))
    table = score(questions(question("a")), predicted, BABI, BOTH, read)
    records.check(table, records.SCORES, "scores", extra=True)
    return table.row(0, named=True)


def test_a_right_trace_and_a_right_answer():
    text = completion("where", ["Mary went home."], "home")
    row = scored(text)
    assert (row["parse_status"], row["answer"], row["f1"]) == ("strict", "home", 1)
    assert row["answer_correct"] and row["class_correct"] and row["trace_correct"]
    assert row["facts_predicted"] == [0]
    assert row["trace_tokens"] == pytest.approx(20 * text.index("<answer>") / len(text))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("<think>ab</think>\n<ANSWER>x", 18 / 27),
        ("\u0130<answer>x", 1 / 10),  # two characters in lower case
        ("<think>ab</THINK>x", 17 / 18),
        ("<think>ab", 1),
        ("<an\u017fwer>ab", 0),  # no tag: a long s is no s
        ("", 0),
    ],
)
def test_tokens_of_the_trace_are_those_before_the_answer(text, tokens):
    assert scored(text, completion_tokens=1)["trace_tokens"] == tokens


def test_untagged_output_of_an_untuned_model_has_no_trace():
    text = "Use the following facts to answer the question: home"
    asked, made = questions(question("a")), predictions(prediction("a", text))
    for untagged, answer in ((True, text), (False, None)):
        row = score(asked, made, BABI, (), untagged=untagged).row(0, named=True)
        assert (row["answer"], row["trace_tokens"] == 0) == (answer, untagged)


def test_answer_and_trace_are_compared_with_their_own_question_in_any_order():
    asked = questions(
        question("b"),
        question("a", answers=["bed"], context=["Mary went to bed."], question_class="sleep"),
        question("c", answers=["bed"]),
    )
    predicted = predictions(
        prediction("c", "bed"),
        prediction("a", completion("sleep", ["Mary went to bed."], "bed")),
        prediction("b", completion("where", ["Mary went home."], "home")),
    )
    table = score(asked, predicted, BABI, BOTH)
    assert table.select("id", "answer_correct", "trace_correct").rows() == [
        ("b", True, True),
        ("a", True, True),
        ("c", True, False),
    ]


def test_a_text_without_an_answer_is_wrong_in_answer_and_trace():
    text = completion("where", ["Mary went home."], "").partition("<answer>")[0]
    row = scored(text, finish_reason="length")
    assert (row["parse_status"], row["answer"]) == ("failed", None)
    assert (row["answer_correct"], row["trace_correct"]) == (False, False)
    assert (row["class_correct"], row["facts_exact"]) == (True, True)


def test_predictions_must_cover_every_question_once():
    asked = questions(*(question(key) for key in "abcdefgh"))
    predicted = predictions(prediction("a", "x"), prediction("z", "x"), prediction("a", "y"))
    with pytest.raises(TracekdError) as error:
        score(asked, predicted, BABI, BOTH)
    message = str(error.value)
    assert "7 questions without a prediction: b, c, d, e, f, … (2 more)" in message
    assert "1 predictions of unknown questions: z" in message
    assert "1 questions predicted more than once: a" in message


def test_an_answer_cut_out_by_another_rule_replaces_the_grammars():
    row = scored("home; bed", lambda text: text[:4])
    assert (row["answer"], row["answer_correct"]) == ("home", True)


@pytest.mark.parametrize(
    ("facts", "stated"), [([], None), (["John left."], False), (["Mary went home."], True)]
)
def test_the_answer_is_in_the_trace_if_quoted_facts_state_it(facts, stated):
    assert scored(completion("where", facts, "home"))["answer_in_trace"] is stated


def test_a_step_that_most_outputs_do_not_show_is_a_warning_that_quotes_the_first():
    asked = questions(question("a"), question("b"))
    right, nonsense = (completion(name, ["Mary went home."], "home") for name in ("where", "blue"))
    predicted = predictions(prediction("b", "home"), prediction("a", nonsense))
    table = score(asked, predicted, BABI, BOTH)
    (line,) = unread_steps(table, predicted)
    assert line.startswith("class step: 2 of 2 outputs name no class")
    assert "question is: blue." in line
    assert not table["trace_correct"].any()
    good = predictions(prediction("a", right), prediction("b", "home"))
    assert unread_steps(score(asked, good, BABI, BOTH), good) == []


def test_a_class_in_other_spelling_is_no_warning():
    asked = questions(question("a", question_class="two-facts"))
    spelt = predictions(prediction("a", completion("Two facts", ["Mary went home."], "home")))
    scores = score(asked, spelt, BABI, BOTH)
    assert scores["class_correct"].to_list() == [True]
    assert unread_steps(scores, spelt) == []
