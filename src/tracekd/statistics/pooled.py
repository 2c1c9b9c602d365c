"""Several runs of the same experiment: means over seeds, and differences pooled by question."""

from collections.abc import Sequence
from math import hypot

import numpy as np
from numpy.typing import ArrayLike

from tracekd.statistics import bootstrap
from tracekd.statistics.association import LEVEL
from tracekd.statistics.paired import ALPHA, POWER
from tracekd.statistics.values import Tree, Undefined, Value

#: The Fourier transform that gives the distribution is no more precise: p-values stop here.
_PRECISION = 1e-15


def t_interval(values: Sequence[float]) -> tuple[float, float]:
    """Return Student's 95 % interval of the mean of two or more shares, cut to 0 to 1."""
    from scipy import stats

    mean = float(np.mean(values))
    half = float(stats.t.ppf((1 + LEVEL) / 2, len(values) - 1) * stats.sem(values))
    return max(0.0, mean - half), min(1.0, mean + half)


def wilson_interval(right: float, n: float) -> tuple[float, float]:
    """Return Wilson's 95 % score interval of a share (Wilson 1927); n > 0.

    Counts need not be whole: n may be what clustered observations are worth.
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(right, n, alpha=1 - LEVEL, method="wilson")
    return float(low), float(high)


def newcombe_interval(
    first: tuple[float, float, float], second: tuple[float, float, float]
) -> tuple[float, float]:
    """Return the 95 % interval of first - second of two independent shares.

    Args:
        first: the share and the bounds of its Wilson interval.
        second: the same of the other.

    Source: Newcombe 1998, method 10.
    """
    (one, one_low, one_high), (two, two_low, two_high) = first, second
    difference = one - two
    return (
        difference - hypot(one - one_low, two_high - two),
        difference + hypot(one_high - one, two - two_low),
    )


def sign_flip_test(differences: ArrayLike) -> Value:
    """Return the exact two-sided p-value that differences on the same questions have no direction.

    Under the null hypothesis each question's difference is as likely to have the other sign. With
    one run on each side the differences are -1, 0, 1 and this is McNemar's exact test; with several
    it is that test for their means (Fisher's randomisation test for pairs).

    Args:
        differences: (questions,) integers: how many seeds have it right, second minus first. Being
            integers, their sum has a distribution that can be computed whole.
    """
    changes = np.asarray(differences)
    sizes, repeats = np.unique(np.abs(changes[changes != 0]), return_counts=True)
    if not sizes.size:
        return Undefined("the two agree on every question")
    # A sign times k has the characteristic function cos(k t); the sum's is their product.
    reach = int(sizes @ repeats)
    angles = 2 * np.pi * np.arange(2 * reach + 1) / (2 * reach + 1)
    transform = np.prod(np.cos(np.outer(sizes, angles)) ** repeats[:, None], axis=0)
    distribution = np.maximum(np.fft.ifft(transform).real, 0)
    sums = (np.arange(2 * reach + 1) + reach) % (2 * reach + 1) - reach
    tail = float(distribution[np.abs(sums) >= abs(int(changes.sum()))].sum())
    return min(1.0, max(tail, _PRECISION))


def nothing_differs_interval(n: int) -> tuple[float, float]:
    """Return the 95 % interval of a paired difference if none of n questions differs.

    The bootstrap would say exactly 0. A share of 1 - (2.5 %)^(1/n) of differing questions, all in
    one direction, is still likely enough not to be seen (Clopper and Pearson 1934).
    """
    limit = float(1 - ((1 - LEVEL) / 2) ** (1 / n))
    return -limit, limit


def change_interval(changes: ArrayLike, rng: np.random.Generator) -> tuple[Value, Value]:
    """Return the 95 % interval of the mean of one change from -1 to 1 per question (one at least).

    The bootstrap over questions. A direction in which no question changes, which no resample can
    have either, is given what could still have been missed (`nothing_differs_interval`).
    """
    seen = np.asarray(changes, dtype=np.float64)
    low, high = bootstrap.mean_interval(seen, rng)
    if isinstance(low, Undefined) or isinstance(high, Undefined):
        return low, high
    missed = nothing_differs_interval(seen.size)[1]
    return (
        low if seen.min() < 0 else max(-1.0, low - missed),
        high if seen.max() > 0 else min(1.0, high + missed),
    )


def over_seeds(differences: ArrayLike) -> Tree:
    """Return Student's 95 % interval and p-value of a mean difference over paired seeds."""
    from scipy import stats

    seen = np.asarray(differences, dtype=np.float64)
    if seen.size < 2:
        few = Undefined("fewer than two seeds of both: nothing is known of other seeds")
        return {"low": few, "high": few, "p_value": few}
    error = float(stats.sem(seen))
    if not error:
        same = Undefined("the seeds agree to the digit")
        return {"low": same, "high": same, "p_value": same}
    half = float(stats.t.ppf((1 + LEVEL) / 2, seen.size - 1)) * error
    mean = float(seen.mean())
    p_value = float(2 * stats.t.sf(abs(mean) / error, seen.size - 1))
    return {"low": max(-1.0, mean - half), "high": min(1.0, mean + half), "p_value": p_value}


def detectable_mean(differences: ArrayLike, alpha: float = ALPHA, power: float = POWER) -> Value:
    """Return the smallest mean difference that a paired test finds with this power.

    The normal approximation (z_alpha/2 + z_power) * s / sqrt(n), with s the standard deviation of
    the questions' differences.
    """
    changes = np.asarray(differences, dtype=np.float64)
    if changes.size < 2 or not changes.any():
        return Undefined("the two agree on every question")
    from scipy import stats

    quantiles = stats.norm.ppf(1 - alpha / 2) + stats.norm.ppf(power)
    return float(quantiles * changes.std(ddof=1) / np.sqrt(changes.size))
