"""Resampling questions."""

import numpy as np
import pytest

from tracekd.statistics.bootstrap import generator, mean_interval
from tracekd.statistics.values import Undefined


def test_the_same_key_gives_the_same_interval_whatever_the_order():
    values = np.linspace(0, 1, 50) ** 2
    assert mean_interval(values, generator("a")) == mean_interval(values[::-1], generator("a"))
    assert mean_interval(values, generator("a")) != mean_interval(values, generator("b"))


def test_counts_and_questions_give_the_same_interval():
    values = np.repeat([0.0, 1.0], [300, 100])
    noisy = values + np.linspace(0, 1e-9, 400)
    few = mean_interval(values, generator("few"))
    many = mean_interval(noisy, generator("many"))
    assert few == pytest.approx(many, abs=0.005)
    half = 1.96 * np.sqrt(0.25 * 0.75 / 400)
    assert few == pytest.approx((0.25 - half, 0.25 + half), abs=0.005)


def test_nothing_to_resample_is_undefined_and_a_constant_has_no_width():
    for values in ([], [0.4]):
        assert mean_interval(values, generator("a")) == (Undefined("fewer than two questions"),) * 2
    assert mean_interval([0.25] * 7, generator("a")) == (0.25, 0.25)
