"""Means, intervals and the association of trace and answer, by hand."""

import numpy as np
import pytest

from tracekd.comparison.estimates import estimate, pooled_association, regime_figures
from tracekd.comparison.locks import Replicate
from tracekd.comparison.scores import RegimeScores
from tracekd.statistics.crossed import crossed
from tracekd.statistics.intervals import wilson_interval
from tracekd.statistics.values import Undefined

SEED = Replicate(0, 0)
ONE = np.array([[1, 1, 1, 0]], dtype=float)


def test_one_seed_and_seeds_that_agree_have_an_interval_over_questions():
    found = estimate(ONE, "k")
    assert (found["mean"], found["interval"]) == (0.75, "Wilson over 4 questions")
    assert (found["low"], found["high"]) == wilson_interval(3, 4)
    found = estimate(np.zeros((3, 10)), "k")
    assert found["interval"] == "Wilson over 10 questions"
    assert found["high"] == pytest.approx(0.2775, abs=1e-4)


def test_three_seeds_have_a_crossed_interval_and_two_one_over_questions():
    table = np.array([[1, 1, 1, 0, 0], [1, 1, 0, 0, 0], [1, 1, 1, 1, 0]], dtype=float)
    found = estimate(table, "k")
    assert found["mean"] == pytest.approx(0.6)
    assert found["interval"] == "crossed, 3 seeds x 5 questions"
    low, high = crossed(table).interval()
    assert (found["low"], found["high"]) == (max(0, low), min(1, high))
    assert estimate(table[:2], "k")["interval"] == "bootstrap over 5 questions"


def test_what_is_no_verdict_is_resampled():
    found = estimate(np.array([[0.5, 1, 0.25, 0.75] * 20]), "k")
    assert found["interval"] == "bootstrap over 80 questions"
    assert found["low"] < 0.625 < found["high"]
    assert found == estimate(np.array([[0.5, 1, 0.25, 0.75] * 20]), "k")


def test_the_association_of_one_seed_by_hand():
    trace = np.array([[1] * 8 + [0] * 12], dtype=float)
    answer = np.array([[1] * 6 + [0] * 2 + [1] * 3 + [0] * 9], dtype=float)
    scores = RegimeScores((Replicate(7, 8),), {"answer": answer, "trace": trace})
    found = pooled_association(scores, np.array(["c"] * 20), "k")
    names = ("right_right", "right_wrong", "wrong_right", "wrong_wrong")
    assert [found[name] for name in names] == [6, 2, 3, 9]
    shares = ("both_right", "p_answer_if_right", "p_answer_if_wrong")
    assert [found[name]["mean"] for name in shares] == [0.3, 0.75, 0.25]
    assert found["both_right"]["interval"] == "Wilson over 20 questions"
    right, wrong = wilson_interval(6, 8), wilson_interval(3, 12)
    low = pytest.approx(0.5 - np.hypot(0.75 - right[0], wrong[1] - 0.25))
    assert (found["risk_difference"]["mean"], found["risk_difference"]["low"]) == (0.5, low)
    assert found["risk_difference_within_classes"] == found["risk_difference"]
    assert found["by_seed"]["7/8"]["chi_square"] == pytest.approx(20 * 48**2 / (8 * 12 * 9 * 11))


def test_traces_that_are_all_wrong_have_no_association():
    scores = RegimeScores((SEED,), {"answer": ONE, "trace": np.zeros_like(ONE)})
    found = pooled_association(scores, np.array(["c"] * 4), "k")
    assert found["p_answer_if_right"]["mean"] == Undefined("no trace is right")
    assert isinstance(found["risk_difference"]["low"], Undefined)
    assert found["p_answer_if_wrong"]["mean"] == 0.75


def test_figures_of_a_regime_without_steps_have_no_association():
    found = regime_figures(
        RegimeScores((SEED,), {"answer": ONE}), np.array(["a", "a", "b", "b"]), "k"
    )
    assert set(found) == {"seeds", "n", "answer", "by_class"}
    by_class = {name: (part["n"], part["mean"]) for name, part in found["by_class"].items()}
    assert by_class == {"a": (2, 1), "b": (2, 0.5)}
