import numpy as np
import pytest
from scipy import stats

from tracekd.statistics.crossed import (
    Components,
    Crossed,
    crossed,
    detectable,
    needed,
)
from tracekd.statistics.values import Undefined

#: (seeds, questions), worked out below by hand.
TABLE = [[1, 0, 1, 0], [1, 1, 1, 0], [0, 0, 1, 0]]


def found(table=TABLE):
    result = crossed(table)
    assert isinstance(result, Crossed)
    return result


def test_mean_squares_by_hand():
    # Means: seeds 1/2, 3/4, 1/4; questions 2/3, 1/3, 1, 0; all 1/2.
    # MS seed = 4 (0 + 1/16 + 1/16) / 2 = 1/4
    # MS question = 3 (1/36 + 1/36 + 1/4 + 1/4) / 3 = 5/9
    # SS total = 12 / 4 = 3, so SS residual = 3 - 1/2 - 5/3 = 5/6 and MS residual = 5/36
    result = found()
    assert result.mean == 0.5
    variance = 1 / 4 + 5 / 9 - 5 / 36
    assert result.error == pytest.approx(np.sqrt(variance / 12))
    spread = (1 / 4) ** 2 / 2 + (5 / 9) ** 2 / 3 + (5 / 36) ** 2 / 6
    assert result.df == pytest.approx(variance**2 / spread)
    assert result.components.seed == pytest.approx((1 / 4 - 5 / 36) / 4)
    assert result.components.question == pytest.approx((5 / 9 - 5 / 36) / 3)
    assert result.components.residual == pytest.approx(5 / 36)


def test_interval_p_value_and_equivalence_are_students():
    result = found()
    low, high = result.interval()
    half = stats.t.ppf(0.975, result.df) * result.error
    assert (low, high) == pytest.approx((0.5 - half, 0.5 + half))
    p = result.p_value()
    assert p == pytest.approx(2 * stats.t.sf(0.5 / result.error, result.df))
    for margin in (0.4, 0.9, 1.5):
        low, high = result.interval(0.90)
        inside = -margin < low and high < margin
        assert (result.equivalence_p_value(margin) < 0.05) == inside


def test_order_of_seeds_and_questions_makes_no_difference():
    turned = np.asarray(TABLE)[::-1, [2, 0, 3, 1]]
    assert found(turned).error == pytest.approx(found().error)
    assert found(turned).df == pytest.approx(found().df)


def test_the_error_is_never_below_that_of_the_residuals():
    # All seeds and all questions have the same mean: both mean squares are 0.
    result = found(np.eye(4))
    assert result.error == pytest.approx(np.sqrt((1 / 3) / 16))
    assert result.components.seed == result.components.question == 0


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ([[1, 0], [0, 1]], "2 seeds: fewer than 3 support no claim about regimes"),
        ([[1], [0], [1]], "fewer than two questions"),
        ([[1, 1, 1]] * 3, "all seeds agree on every question"),
    ],
)
def test_a_table_that_shows_no_error_is_undefined(table, reason):
    result = crossed(table)
    assert isinstance(result, Undefined)
    assert result.reason == reason


def test_the_detectable_difference_is_found_with_the_promised_power():
    components, seeds, questions = Components(0.0008, 0.02, 0.15), 5, 220
    difference = detectable(components, seeds, questions)
    assert isinstance(difference, float)
    rng = np.random.default_rng(0)
    found_it = 0
    for _ in range(1500):
        table = (
            difference
            + rng.normal(0, np.sqrt(components.seed), (seeds, 1))
            + rng.normal(0, np.sqrt(components.question), (1, questions))
            + rng.normal(0, np.sqrt(components.residual), (seeds, questions))
        )
        found_it += found(table).p_value() < 0.05
    assert found_it / 1500 == pytest.approx(0.8, abs=0.03)


def test_needed_sizes_are_the_smallest_that_detect_the_difference():
    components = Components(0.0008, 0.02, 0.15)
    seeds = needed(lambda n: detectable(components, n, 220), 0.05)
    assert isinstance(seeds, int)
    assert detectable(components, seeds, 220) <= 0.05 < detectable(components, seeds - 1, 220)
    questions = needed(lambda n: detectable(components, 5, n), 0.08)
    assert isinstance(questions, int)
    assert detectable(components, 5, questions) <= 0.08 < detectable(components, 5, questions - 1)
    never = needed(lambda n: detectable(components, 3, n), 0.01)
    assert isinstance(never, Undefined), "seeds alone vary more than that"
