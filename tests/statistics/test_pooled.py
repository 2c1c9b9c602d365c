"""Means over seeds and differences pooled by question."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.statistics.association import Counts
from tracekd.statistics.bootstrap import generator
from tracekd.statistics.paired import mcnemar
from tracekd.statistics.pooled import (
    change_interval,
    detectable_mean,
    newcombe_interval,
    nothing_differs_interval,
    over_seeds,
    sign_flip_test,
    t_interval,
    wilson_interval,
)
from tracekd.statistics.values import Undefined


def test_the_t_interval_by_hand() -> None:
    # Mean 0.5, standard error 0.1 / sqrt(3), t(0.975; 2) = 4.3027.
    assert t_interval([0.4, 0.5, 0.6]) == pytest.approx((0.251586, 0.748414), abs=1e-6)
    assert t_interval([0.9, 1.0]) == (pytest.approx(0.314690, abs=1e-6), 1.0)


def test_wilson_and_newcombe_as_in_newcombes_paper() -> None:
    # Newcombe 1998, contrast (a): 56/70 against 48/80.
    first, second = wilson_interval(56, 70), wilson_interval(48, 80)
    low, high = newcombe_interval((56 / 70, *first), (48 / 80, *second))
    assert (low, high) == pytest.approx((0.0524, 0.3339), abs=1e-4)
    assert wilson_interval(0, 10) == pytest.approx((0, 0.277533), abs=1e-6)


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


def test_false_alarms_of_the_pooled_test_stay_below_5_percent() -> None:
    rng = np.random.default_rng(0)
    alarms = 0
    for _ in range(2000):
        hard = rng.random(60)
        before, after = (rng.random((3, 60)) < hard for _ in range(2))
        alarms += sign_flip_test(after.sum(axis=0).astype(int) - before.sum(axis=0)) < 0.05
    assert 0.03 < alarms / 2000 < 0.06


def test_no_difference_among_few_questions_leaves_room_for_one() -> None:
    low, high = nothing_differs_interval(36)
    assert (low, high) == pytest.approx((-0.0974, 0.0974), abs=1e-3)


def test_the_detectable_mean_by_hand() -> None:
    changes = [1.0, -1.0] * 50
    assert detectable_mean(changes) == pytest.approx(2.801585 * 1.005038 / 10, rel=1e-5)
    assert isinstance(detectable_mean([0, 0, 0]), Undefined)


def test_a_direction_in_which_nothing_changed_is_not_ruled_out():
    rng = generator("some")
    nothing = nothing_differs_interval(20)
    assert change_interval([0] * 20, rng) == pytest.approx(nothing)
    low, high = change_interval([1] + [0] * 19, rng)
    assert low == pytest.approx(nothing[0])
    assert high == pytest.approx(0.15)
    low, high = change_interval([1] * 5, rng)
    assert low == pytest.approx(1 - nothing_differs_interval(5)[1])
    assert high == 1


def test_what_other_seeds_would_give_by_hand():
    # Mean 0.2, standard error 0.1 / sqrt(3), t(0.975, 2) = 4.3027
    found = over_seeds([0.1, 0.2, 0.3])
    assert found["low"] == pytest.approx(0.2 - 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert found["high"] == pytest.approx(0.2 + 4.3027 * 0.1 / 3**0.5, abs=1e-4)
    assert found["p_value"] == pytest.approx(0.0742, abs=1e-4)
    assert isinstance(over_seeds([0.1])["low"], Undefined)
    assert isinstance(over_seeds([0.1, 0.1])["p_value"], Undefined)
