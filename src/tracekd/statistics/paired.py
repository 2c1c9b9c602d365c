"""Two experiments on the same questions."""

from collections.abc import Mapping

import numpy as np

from tracekd.statistics.association import Counts
from tracekd.statistics.values import Undefined, Value

ALPHA = 0.05
POWER = 0.8


def mcnemar(counts: Counts) -> Value:
    """Return the exact two-sided p-value that neither of two experiments is better.

    Args:
        counts: first experiment right or wrong (first word) against the second (second word).
    """
    if not counts.right_wrong + counts.wrong_right:
        return Undefined("the two agree on every question")
    from scipy import stats

    discordant = counts.right_wrong + counts.wrong_right
    return float(stats.binomtest(counts.right_wrong, discordant, 0.5).pvalue)


def holm(p_values: Mapping[str, Value]) -> dict[str, Value]:
    """Return Holm's adjusted p-values of a family; undefined ones stay so and do not count."""
    known = {name: p for name, p in p_values.items() if not isinstance(p, Undefined)}
    if not known:
        return dict(p_values)
    from statsmodels.stats.multitest import multipletests

    adjusted = multipletests(list(known.values()), alpha=ALPHA, method="holm")[1]
    return {**p_values, **dict(zip(known, map(float, adjusted), strict=True))}


def detectable_difference(
    n: int, discordant: float, alpha: float = ALPHA, power: float = POWER
) -> Value:
    """Return the smallest difference in accuracy that McNemar's test finds with this power.

    Solves Connor's sample size formula (Biometrics 43, 1987) for the difference d:
    n d^2 = (z_alpha/2 sqrt(s) + z_power sqrt(s - d^2))^2, with s the discordant share.

    Args:
        n: questions.
        discordant: share of questions that exactly one of the two has right, 0 to 1.
        alpha: two-sided.
        power: chance to find it.
    """
    if not n or not discordant:
        return Undefined("the two agree on every question")
    from scipy import optimize, stats

    quantiles = stats.norm.ppf(1 - alpha / 2), stats.norm.ppf(power)

    def surplus(difference: float) -> float:
        rest = max(0.0, discordant - difference**2)
        needed = quantiles[0] * np.sqrt(discordant) + quantiles[1] * np.sqrt(rest)
        return float(np.sqrt(n) * difference - needed)

    if surplus(discordant) < 0:
        return Undefined("too few questions differ for any difference to be found")
    return float(optimize.brentq(surplus, 0.0, discordant))
