"""Two experiments on the same questions."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.stats import contingency_tables

from tracekd.statistics.association import Counts
from tracekd.statistics.bootstrap import generator
from tracekd.statistics.paired import (
    change_interval,
    holm,
    mcnemar,
    nothing_differs_interval,
    over_seeds,
    sign_flip_test,
)
from tracekd.statistics.values import Undefined


def test_mcnemar_by_hand_and_as_in_statsmodels() -> None:
    assert mcnemar(Counts(10, 1, 5, 10)) == pytest.approx(2 * (1 + 6) / 64)
    table = Counts(794, 86, 150, 570)
    theirs = contingency_tables.mcnemar(table.array, exact=True).pvalue
    assert mcnemar(table) == pytest.approx(theirs)


def test_two_experiments_that_agree_have_no_p_value() -> None:
    assert isinstance(mcnemar(Counts(3, 0, 0, 4)), Undefined)


def test_holm_by_hand() -> None:
    family = {"a": 0.01, "b": 0.04, "c": Undefined("no row"), "d": 0.03}
    adjusted = holm(family)
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert adjusted["a"] == pytest.approx(0.03)
    assert adjusted["b"] == pytest.approx(0.06)
    assert adjusted["c"] == Undefined("no row")
    assert adjusted["d"] == pytest.approx(0.06)
    assert holm({"a": Undefined("x")}) == {"a": Undefined("x")}


def test_the_sign_flip_test_of_single_runs_is_mcnemars() -> None:
    changes = [1] * 150 + [-1] * 86 + [0] * 1364
    assert sign_flip_test(changes) == pytest.approx(mcnemar(Counts(794, 86, 150, 570)), rel=1e-6)


@given(st.lists(st.integers(-3, 3), min_size=1, max_size=8))
def test_the_sign_flip_test_counts_all_sign_patterns(changes: list[int]) -> None:
    patterns = itertools.product([1, -1], repeat=len(changes))
    sums = [abs(sum(a * b for a, b in zip(signs, changes, strict=True))) for signs in patterns]
    expected = np.mean([total >= abs(sum(changes)) for total in sums])
    found = sign_flip_test(changes)
    if any(changes):
        assert found == pytest.approx(expected)
    else:
        assert isinstance(found, Undefined)


def test_a_p_value_is_never_0() -> None:
    assert sign_flip_test([1] * 500) == 1e-15


def test_the_sign_flip_test_raises_5_per_cent_false_alarms() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(2000):
        hard = rng.random(60)
        before, after = (rng.random((3, 60)) < hard for _ in range(2))
        alarms += sign_flip_test(after.sum(axis=0).astype(int) - before.sum(axis=0)) < 0.05
    assert 0.03 < alarms / 2000 < 0.06


def test_no_difference_among_few_questions_does_not_exclude_one() -> None:
    low, high = nothing_differs_interval(36)
    assert (low, high) == pytest.approx((-0.0974, 0.0974), abs=1e-3)


def test_a_direction_in_which_nothing_changed_is_not_ruled_out() -> None:
    rng = generator("some")
    nothing = nothing_differs_interval(20)
    assert change_interval([0] * 20, rng) == pytest.approx(nothing)
    low, high = change_interval([1] + [0] * 19, rng)
    assert low == pytest.approx(nothing[0])
    assert high == pytest.approx(0.15)
    low, high = change_interval([1] * 5, rng)
    assert low == pytest.approx(1 - nothing_differs_interval(5)[1])
    assert high == 1


def test_the_interval_over_seeds_by_hand() -> None:
    # Mean 0.2, standard error 0.1 / sqrt(3), t(0.975, 2) = 4.3027
    found = over_seeds([0.1, 0.2, 0.3])
    assert found["low"] == pytest.approx(0.2 - 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert found["high"] == pytest.approx(0.2 + 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert found["p_value"] == pytest.approx(0.0742, abs=1e-4)
    assert isinstance(over_seeds([0.1])["low"], Undefined)
    assert isinstance(over_seeds([0.1, 0.1])["p_value"], Undefined)
