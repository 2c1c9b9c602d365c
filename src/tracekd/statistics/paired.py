"""Two experiments, or two traces, on the same questions."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

from tracekd.statistics import bootstrap
from tracekd.statistics.association import Counts
from tracekd.statistics.intervals import LEVEL
from tracekd.statistics.values import Tree, Undefined, Value

ALPHA = 0.05
POWER = 0.8


def mcnemar(counts: Counts) -> Value:
    """Return the exact two-sided p-value that neither of two experiments is better.

    Args:
        counts: first experiment right or wrong (first word) against the second (second word).
    """
    discordant = counts.right_wrong + counts.wrong_right
    if not discordant:
        return Undefined("the two agree on every question")
    from scipy import stats

    return float(stats.binomtest(counts.right_wrong, discordant, 0.5).pvalue)


def holm(p_values: Mapping[str, Value]) -> dict[str, Value]:
    """Return Holm's adjusted p-values of a family; undefined ones stay so and do not count."""
    known = {name: p for name, p in p_values.items() if not isinstance(p, Undefined)}
    if not known:
        return dict(p_values)
    from statsmodels.stats.multitest import multipletests

    adjusted = multipletests(list(known.values()), alpha=ALPHA, method="holm")[1]
    return {**p_values, **dict(zip(known, map(float, adjusted), strict=True))}


def change_interval(changes: ArrayLike, rng: np.random.Generator) -> tuple[Value, Value]:
    """Return the 95 % interval of the mean of one change from -1 to 1 per question (at least one).

    The bootstrap over questions. In a direction in which no question changes, no resample does
    either; there the interval allows for what could have been missed: a share of 1 - (2.5 %)^(1/n)
    of n questions is still likely enough not to be seen (Clopper and Pearson 1934).
    """
    seen = np.asarray(changes, dtype=np.float64)
    low, high = bootstrap.mean_interval(seen, rng)
    if isinstance(low, Undefined) or isinstance(high, Undefined):
        return low, high
    missed = 1 - ((1 - LEVEL) / 2) ** (1 / seen.size)
    return (
        low if seen.min() < 0 else max(-1.0, low - missed),
        high if seen.max() > 0 else min(1.0, high + missed),
    )


def over_seeds(differences: ArrayLike) -> Tree:
    """Return Student's 95 % interval and p-value of a mean difference over paired seeds."""
    from scipy import stats

    seen = np.asarray(differences, dtype=np.float64)
    if seen.size < 2 or not np.ptp(seen):
        few = "fewer than two seeds of both: nothing is known of other seeds"
        reason = Undefined("all seeds differ equally" if seen.size > 1 else few)
        return dict.fromkeys(("low", "high", "p_value"), reason)
    test = stats.ttest_1samp(seen, 0)
    low, high = test.confidence_interval(LEVEL)
    return {
        "low": max(-1.0, float(low)),
        "high": min(1.0, float(high)),
        "p_value": float(test.pvalue),
    }
