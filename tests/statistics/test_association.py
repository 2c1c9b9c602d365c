"""The 2x2: published and hand-computed values, and empty cells."""

import numpy as np
import pytest
from scipy import stats

from tracekd.statistics.association import (
    Counts,
    association,
    count,
    independence,
    risk_difference,
)
from tracekd.statistics.values import Undefined

STRONG = Counts(231, 2, 172, 545)


def test_counting_two_arrays():
    step = [True, True, True, False, False, False]
    answer = [True, True, False, True, False, False]
    assert count(step, answer) == Counts(2, 1, 1, 2)
    assert count([], []) == Counts(0, 0, 0, 0)


def test_newcombes_own_example():
    # Newcombe 1998, table II (a): 56/70 - 48/80, method 10.
    difference, low, high = risk_difference(Counts(56, 14, 48, 32))
    assert difference == pytest.approx(0.2)
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=5e-5)


def test_chi_square_and_phi_of_a_large_table():
    phi, statistic, p_value, exact = independence(STRONG)
    assert statistic == pytest.approx(406.6, abs=0.05)
    assert p_value == pytest.approx(stats.chi2.sf(406.59, 1), rel=0.05)
    assert exact == 0
    assert phi == pytest.approx(0.654, abs=5e-4)


def test_a_step_that_goes_with_wrong_answers_has_a_negative_association():
    measured = association(Counts(1, 3, 3, 1))
    assert (measured["phi"], measured["risk_difference"]) == (-0.5, -0.5)


def test_the_exact_test_replaces_chi_square_in_small_tables():
    # Fisher's tea tasting: p = 34 / 70.
    expected = (0.5, pytest.approx(2), pytest.approx(34 / 70), 1)
    assert independence(Counts(3, 1, 1, 3)) == expected


@pytest.mark.parametrize(
    ("counts", "undefined"),
    [
        (Counts(0, 0, 3, 4), {"p_answer_if_right", "risk_difference", "phi", "p_value"}),
        (Counts(3, 4, 0, 0), {"p_answer_if_wrong", "risk_difference", "phi", "p_value"}),
        (Counts(3, 0, 4, 0), {"phi", "p_value"}),
        (Counts(0, 3, 0, 4), {"phi", "p_value"}),
        (Counts(0, 0, 0, 0), {"p_answer_if_right", "p_answer_if_wrong"}),
    ],
)
def test_empty_cells_leave_undefined_what_they_must(counts, undefined):
    measured = association(counts)
    for name in undefined:
        assert isinstance(measured[name], Undefined), name
        assert measured[name].reason


def test_an_empty_cell_leaves_the_rest_defined():
    measured = association(Counts(5, 0, 2, 3))
    assert measured["risk_difference"] == pytest.approx(0.6)
    assert measured["phi"] == pytest.approx(15 / np.sqrt(5 * 5 * 7 * 3))
    assert measured["p_value"] == pytest.approx(1 / 6)
    assert measured["exact_test"] == 1
