"""Two experiments on the same questions."""

import pytest
from statsmodels.stats import contingency_tables

from tracekd.statistics.association import Counts
from tracekd.statistics.bootstrap import generator
from tracekd.statistics.paired import (
    change_interval,
    holm,
    mcnemar,
    over_seeds,
)
from tracekd.statistics.values import Undefined


def test_mcnemar_by_hand_and_as_in_statsmodels():
    assert mcnemar(Counts(10, 1, 5, 10)) == pytest.approx(2 * (1 + 6) / 64)
    table = Counts(794, 86, 150, 570)
    theirs = contingency_tables.mcnemar(table.array, exact=True).pvalue
    assert mcnemar(table) == pytest.approx(theirs)
    assert isinstance(mcnemar(Counts(3, 0, 0, 4)), Undefined)


def test_holm_by_hand():
    family = {"a": 0.01, "b": 0.04, "c": Undefined("no row"), "d": 0.03}
    adjusted = holm(family)
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert adjusted["a"] == pytest.approx(0.03)
    assert adjusted["b"] == pytest.approx(0.06)
    assert adjusted["c"] == Undefined("no row")
    assert adjusted["d"] == pytest.approx(0.06)
    assert holm({"a": Undefined("x")}) == {"a": Undefined("x")}


def test_a_direction_in_which_nothing_changed_is_not_ruled_out():
    rng = generator("some")
    missed = 1 - 0.025 ** (1 / 20)
    assert change_interval([0] * 20, rng) == pytest.approx((-missed, missed))
    low, high = change_interval([1] + [0] * 19, rng)
    assert low == pytest.approx(-missed)
    assert high == pytest.approx(0.15)
    low, high = change_interval([1] * 5, rng)
    assert (low, high) == (pytest.approx(0.025 ** (1 / 5)), 1)


def test_the_interval_over_seeds_by_hand():
    # Mean 0.2, standard error 0.1 / sqrt(3), t(0.975, 2) = 4.3027
    found = over_seeds([0.1, 0.2, 0.3])
    assert found["low"] == pytest.approx(0.2 - 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert found["high"] == pytest.approx(0.2 + 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert found["p_value"] == pytest.approx(0.0742, abs=1e-4)
    assert isinstance(over_seeds([0.1])["low"], Undefined)
    assert isinstance(over_seeds([0.1, 0.1])["p_value"], Undefined)
