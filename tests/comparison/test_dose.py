"""Dose and response, by hand."""

import numpy as np
import pytest

from tracekd.comparison.dose import dose_response
from tracekd.comparison.locks import DosedRegime, Replicate
from tracekd.comparison.scores import RegimeScores
from tracekd.statistics.crossed import crossed
from tracekd.statistics.values import Undefined

NONE, CORRECT, INCORRECT = (DosedRegime(name) for name in ("none", "correct", "incorrect"))
MIXED = DosedRegime("mixed", 0.5)


def regime(*rows, first=0):
    """A regime whose seeds, from `first` on, have these answers; every trace is right."""
    answers = np.array(rows, dtype=float)
    replicates = tuple(Replicate(seed, seed) for seed in range(first, first + len(rows)))
    return RegimeScores(replicates, {"answer": answers, "trace": np.ones_like(answers)})


def test_the_slope_is_the_mean_of_every_seed_and_question():
    regimes = {
        NONE: regime([0, 0]),
        CORRECT: regime([1, 1, 1], [1, 1, 0], [1, 1, 0]),
        INCORRECT: regime([0, 1, 0], [0, 0, 0], [1, 0, 0]),
        MIXED: regime([1, 0, 1], [1, 1, 0], [0, 1, 0]),
    }
    found = dose_response(regimes)
    assert found["association"]["doses"] == {"correct": 0, "mixed 0.5": 0.5, "incorrect": 1}
    assert found["accuracy"]["seeds"] == ["0", "1", "2"]
    # Doses 0, 0.5, 1: the slope of a line is the last value minus the first.
    table = crossed([[-1, 0, -1], [-1, -1, 0], [0, -1, 0]])
    line = found["accuracy"]
    assert line["slope"] == pytest.approx(-5 / 9)
    assert (line["low"], line["high"]) == pytest.approx(table.interval())
    assert line["p_value"] == pytest.approx(table.p_value())
    assert isinstance(found["association"]["slope"], Undefined), "no trace is wrong"


def test_a_fall_from_dose_to_dose_is_tested_over_seeds():
    falling = [regime(*[[1] * right + [0] * (9 - right)] * 3) for right in (8, 5, 2)]
    found = dose_response(dict(zip((CORRECT, MIXED, INCORRECT), falling, strict=True)))
    # One order of three doses in each of three seeds.
    assert found["accuracy"]["page_p_value"] == pytest.approx(1 / 6**3)
    rising = dose_response(dict(zip((INCORRECT, MIXED, CORRECT), falling, strict=True)))
    assert rising["accuracy"]["page_p_value"] == 1


def test_only_replicates_with_all_doses_are_used():
    regimes = {CORRECT: regime([1, 1], [0, 0]), MIXED: regime([1, 0]), INCORRECT: regime([0, 0])}
    line = dose_response(regimes)["accuracy"]
    assert (line["seeds"], line["slope"]) == (["0"], pytest.approx(-1))
    assert isinstance(line["low"], Undefined)
    assert dose_response({**regimes, MIXED: regime([1, 0], first=7)}) == {}
    assert dose_response({CORRECT: regimes[CORRECT], INCORRECT: regimes[INCORRECT]}) == {}


def test_a_line_goes_from_correct_to_incorrect_which_mixed_at_0_and_1_does_not_replace():
    correct, incorrect = regime([1, 1], [1, 0]), regime([0, 0], [0, 0])
    ends = {CORRECT: correct, INCORRECT: incorrect, MIXED: regime([1, 0], [1, 0])}
    same = {DosedRegime("mixed", dose): regime([0, 1], first=0) for dose in (0.0, 1.0)}
    found = dose_response(ends | same)
    assert found["accuracy"] == dose_response(ends)["accuracy"]
    assert found["accuracy"]["seeds"] == ["0", "1"]
    inner = {DosedRegime("mixed", dose): correct for dose in (0.25, 0.5, 0.75)}
    assert dose_response(inner) == {}


def test_equal_answers_at_every_dose_are_no_trend():
    same = regime(*[[1, 0, 1, 1, 0, 0, 1]] * 3)
    line = dose_response({CORRECT: same, MIXED: same, INCORRECT: same})["accuracy"]
    assert line["slope"] == pytest.approx(0)
    assert line["p_value"] == Undefined("all seeds agree on every question")
