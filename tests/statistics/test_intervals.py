"""Intervals of shares and of their difference."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep

from tracekd.statistics.intervals import (
    newcombe_interval,
    share_interval,
    wilson_interval,
)
from tracekd.statistics.values import Undefined


def test_wilsons_interval_has_a_width_at_0():
    # Wilson: z^2 / (n + z^2) above 0 of n.
    assert share_interval(0, 6, "none") == pytest.approx((0, 3.841459 / 9.841459), abs=1e-6)
    assert share_interval(0, 6, "none")[0] == 0
    assert share_interval(6, 6, "none")[1] == 1
    assert share_interval(0, 0, "none") == (Undefined("none"), Undefined("none"))


@given(st.integers(0, 9), st.integers(0, 9), st.integers(0, 9), st.integers(0, 9))
def test_newcombes_interval_as_in_statsmodels(a, b, c, d):
    first, second = (a, a + b + 1), (c, c + d + 1)
    shares = [(part / n, *wilson_interval(part, n)) for part, n in (first, second)]
    expected = confint_proportions_2indep(*first, *second, compare="diff", method="newcomb")
    assert newcombe_interval(shares[0], shares[1]) == pytest.approx(expected, abs=1e-9)


def test_shares_with_the_same_errors_have_a_certain_difference():
    first, second = (0.6, 0.5, 0.7), (0.4, 0.3, 0.5)
    assert newcombe_interval(first, second, 1.0) == pytest.approx((0.2, 0.2))
    low, high = newcombe_interval(first, second, 0.5)
    assert (low, high) == pytest.approx((0.1, 0.3))  # sqrt(0.01 + 0.01 - 0.01) on either side
