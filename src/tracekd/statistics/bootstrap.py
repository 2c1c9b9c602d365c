"""Percentile intervals of means by resampling questions.

Resampling n questions with k distinct values is one multinomial draw of k counts, so 10,000
resamples of 10,000 verdicts cost next to nothing.
"""

import numpy as np
from numpy.typing import ArrayLike

from tracekd import randomness
from tracekd.statistics.intervals import LEVEL
from tracekd.statistics.values import Undefined, Value

RESAMPLES = 10_000
# Counts held in memory at a time.
_CHUNK = 10_000_000


def generator(*key: str | int) -> np.random.Generator:
    """Return a numpy generator that is a function of `key` alone."""
    return np.random.default_rng(randomness.digest(*key))


def mean_interval(values: ArrayLike, rng: np.random.Generator) -> tuple[Value, Value]:
    """Return the 95 % percentile interval of the mean of one value per question (no NaN).

    The order of the values makes no difference.
    """
    distinct, counts = np.unique(np.asarray(values, dtype=np.float64), return_counts=True)
    n = int(counts.sum())
    if n < 2:
        reason = Undefined("fewer than two questions")
        return reason, reason
    rows = max(1, _CHUNK // distinct.size)
    sizes = [min(rows, RESAMPLES - start) for start in range(0, RESAMPLES, rows)]
    means = [rng.multinomial(n, counts / n, size=size) @ distinct / n for size in sizes]
    tail = 50 * (1 - LEVEL)
    low, high = np.percentile(np.concatenate(means), [tail, 100 - tail])
    return float(low), float(high)
