"""Answers that need no model."""

import pytest
from tables import BABI, question, questions

from tracekd.scoring.floors import floors


def test_each_floor_by_hand():
    training = questions(
        question("a", answers=["home"]),
        question("b", answers=["home"]),
        question("c", answers=["bed"]),
        question("d", answers=["Mary", "Bo"], question_class="who"),
    )
    asked = questions(
        question("e", answers=["Home"], context=["Bo slept.", "Bo went home."]),
        question("f", answers=["bed"], context=["Bo went home."]),
        question("g", answers=["Bo", "Mary"], context=["Bo"], question_class="who"),
        question("h", answers=["home"], context=["home"], question_class="unseen"),
    )
    assert floors(asked, training, BABI) == {
        "majority answer of the class": 0.75,
        "last word of the last fact": 0.5,
        "empty answer": 0.0,
        "refusal": 0.0,
        "whole context": 0.25,
    }


def test_the_datasets_own_metric_counts():
    spec = BABI.model_copy(update={"answer_metric": "marco", "answers": "any"})
    asked = questions(question("a", answers=["home", "the house"], context=["Mary went home."]))
    found = floors(asked, asked, spec)
    assert found["whole context"] == 1, "the metric is containment"
    assert found["majority answer of the class"] == 1
    assert found["empty answer"] == pytest.approx(0)
