"""Association within strata."""

import numpy as np
import pytest

from tracekd.statistics.association import Counts, association, risk_difference
from tracekd.statistics.stratified import stratified
from tracekd.statistics.values import Undefined

#: Admissions at Berkeley, R's UCBAdmissions: departments A to F; men, then women.
BERKELEY = [
    Counts(512, 313, 89, 19),
    Counts(353, 207, 17, 8),
    Counts(120, 205, 202, 391),
    Counts(138, 279, 131, 244),
    Counts(53, 138, 94, 299),
    Counts(22, 351, 24, 317),
]


def test_berkeley_as_in_r():
    # mantelhaen.test(UCBAdmissions, correct = FALSE)
    found = stratified(BERKELEY)
    assert found["chi_square"] == pytest.approx(1.5246, abs=5e-5)
    assert found["p_value"] == pytest.approx(0.2169, abs=5e-5)


def test_a_mixture_of_easy_and_hard_classes_cannot_fake_an_association():
    easy, hard = Counts(72, 8, 18, 2), Counts(2, 18, 8, 72)
    whole = Counts(*np.sum([easy, hard], axis=0))
    assert risk_difference(whole)[0] == pytest.approx(0.48)
    found = stratified([easy, hard])
    assert found["risk_difference"] == pytest.approx(0)
    assert found["p_value"] == pytest.approx(1)


def test_strata_without_both_verdicts_are_not_informative():
    informative = Counts(6, 2, 3, 5)
    found = stratified([informative, Counts(0, 0, 4, 4), Counts(3, 0, 5, 0)])
    assert (found["strata"], found["informative_strata"]) == (3, 1)
    # The second stratum compares nothing, the third shows no difference: it counts for this one.
    weights = 8 * 8 / 16, 3 * 5 / 8
    expected = weights[0] * (6 / 8 - 3 / 8) / sum(weights)
    assert found["risk_difference"] == pytest.approx(expected)


@pytest.mark.parametrize("strata", [[], [Counts(0, 0, 1, 2)], [Counts(0, 0, 0, 0)]])
def test_nothing_to_compare_is_undefined(strata):
    found = stratified(strata)
    for name in ("risk_difference", "chi_square", "p_value"):
        assert isinstance(found[name], Undefined)


def test_an_empty_diagonal_has_a_difference_and_a_test():
    found = stratified([Counts(5, 0, 0, 5), Counts(4, 0, 0, 4)])
    assert found["p_value"] < 0.001
    assert found["risk_difference"] == pytest.approx(1)


def test_a_strong_association_has_a_small_p_value_and_not_0():
    assert 0 < stratified([Counts(231, 2, 172, 545)])["p_value"] < 1e-80


def test_the_test_of_one_small_stratum_is_fishers():
    counts = Counts(1, 0, 0, 9)
    assert stratified([counts])["p_value"] == pytest.approx(association(counts)["p_value"])


def test_the_test_of_small_strata_is_exact():
    # Of 61, and of 62 with two right answers, the one right step meets a right answer in both.
    found = stratified([Counts(1, 0, 0, 60), Counts(1, 0, 1, 60)])
    assert found["p_value"] == pytest.approx((1 / 61) * (2 / 62))
