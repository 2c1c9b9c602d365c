"""Gold answers by their own metric."""

import pytest
from tables import BABI, question, questions

from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.references import check_references

MARCO = DatasetSpec(name="mine", reader="jsonl", answer_metric="marco", answers="any")


def test_gold_answers_that_their_metric_calls_right_are_not_counted():
    asked = questions(question("a"), question("b", answers=["n; s", "['a', 'b']", "x, y"]))
    assert check_references({"test": asked}, BABI) == {"test": {"count": 0, "first": []}}


def test_every_alternative_counts_and_few_wrong_ones_are_named():
    rows = [question(str(n), answers=["home", "at home"]) for n in range(19)]
    asked = questions(*rows, question("odd", answers=["home", "$"]))
    assert check_references({"test": asked}, MARCO) == {"test": {"count": 1, "first": ["odd"]}}
    with pytest.raises(
        TracekdError, match=r"1 of 1 test questions wrong, first odd \(file:1\): '\$'"
    ):
        check_references({"test": asked[19:]}, MARCO)


@pytest.mark.parametrize(("metric", "answers"), [("exact_match", "any"), ("marco", "all")])
def test_a_metric_that_reads_several_answers_otherwise_than_the_entry_is_refused(metric, answers):
    entry = DatasetSpec(name="mine", reader="jsonl", answer_metric=metric, answers=answers)
    with pytest.raises(TracekdError, match=f"mine: answers: {answers} contradicts answer_metric"):
        check_references({"test": questions(question("a"))}, entry)


def test_an_answer_that_cannot_be_scored_is_an_error_before_training():
    entry = DatasetSpec(name="mine", reader="jsonl", answer_metric="cotemp")
    with pytest.raises(TracekdError, match=r"a: the answer cannot be scored: .*triple element"):
        check_references({"test": questions(question("a"))}, entry)


@pytest.mark.parametrize(("one", "other"), [("C++", "C#"), ("yes-no", "Yes no")])
def test_classes_that_no_verdict_can_tell_apart_are_refused(one, other):
    asked = questions(question("a", question_class=one), question("b", question_class=other))
    with pytest.raises(TracekdError, match=r"the classes .* differ in case or punctuation alone"):
        check_references({"test": asked}, BABI)
