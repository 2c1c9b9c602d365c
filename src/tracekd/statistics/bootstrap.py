"""Percentile intervals by resampling questions.

Resampling n questions from a table of k distinct cells is one multinomial draw of k counts, so
10,000 resamples of 10,000 questions cost as little as the table is small.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracekd import randomness
from tracekd.statistics.intervals import LEVEL
from tracekd.statistics.values import Undefined, Value

RESAMPLES = 10_000
# Above this many distinct values, drawing questions is cheaper than drawing counts.
_MAX_CELLS = 64
# Numbers held in memory at a time.
_CHUNK = 10_000_000

Statistic = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def generator(*key: str | int) -> np.random.Generator:
    """Return a numpy generator that is a function of `key` alone."""
    return np.random.default_rng(randomness.digest(*key))


def resample_counts(
    cells: ArrayLike, rng: np.random.Generator, resamples: int = RESAMPLES
) -> NDArray[np.float64]:
    """Return (resamples, *cells.shape) counts, each of as many questions as `cells` holds."""
    observed = np.asarray(cells, dtype=np.float64)
    total = observed.sum()
    drawn = rng.multinomial(int(total), observed.ravel() / total, size=resamples)
    return drawn.reshape(resamples, *observed.shape).astype(np.float64)


def interval(
    cells: ArrayLike,
    statistic: Statistic,
    rng: np.random.Generator,
    resamples: int = RESAMPLES,
) -> tuple[Value, Value]:
    """Return the 95 % percentile interval of a statistic of a table of counts.

    Args:
        cells: counts of questions, of any shape.
        statistic: (resamples, *shape) counts -> (resamples,) values, NaN where undefined.
        rng: see `generator`.
        resamples: how many.

    Returns:
        The bounds; undefined if the statistic is in more than 5 % of the resamples.
    """
    if not np.asarray(cells).sum():
        return _nothing("no question")
    return percentiles(statistic(resample_counts(cells, rng, resamples)))


def mean_interval(
    values: ArrayLike, rng: np.random.Generator, resamples: int = RESAMPLES
) -> tuple[Value, Value]:
    """Return the 95 % percentile interval of the mean of one value per question (no NaN)."""
    observed = np.asarray(values, dtype=np.float64)
    if not observed.size:
        return _nothing("no question")
    distinct, cells = np.unique(observed, return_counts=True)
    if distinct.size <= _MAX_CELLS:
        return interval(cells, lambda drawn: drawn @ distinct / observed.size, rng, resamples)
    rows = max(1, _CHUNK // observed.size)
    means = [
        observed[rng.integers(observed.size, size=(size, observed.size), dtype=np.int32)].mean(
            axis=1
        )
        for start in range(0, resamples, rows)
        if (size := min(rows, resamples - start))
    ]
    return percentiles(np.concatenate(means))


def percentiles(resampled: NDArray[np.float64]) -> tuple[Value, Value]:
    """Return the central 95 % of resampled values."""
    known = resampled[np.isfinite(resampled)]
    if known.size < LEVEL * resampled.size:
        return _nothing("undefined in more than 5 % of the resamples")
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(known, [tail, 100 - tail])
    return float(low), float(high)


def _nothing(reason: str) -> tuple[Undefined, Undefined]:
    return Undefined(reason), Undefined(reason)
