"""The association with a third variable held fixed: easy and hard strata cannot fake or hide it.

Cochran-Mantel-Haenszel: each stratum (a class of questions) has its own 2x2; what is pooled is the
association within strata.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from tracekd.statistics.association import SMALL_CELL, Counts
from tracekd.statistics.values import Tree, Undefined, Value


def stratified(strata: Sequence[Counts]) -> Tree:
    """Return the pooled association within strata.

    The Mantel-Haenszel risk difference, the Cochran-Mantel-Haenszel test without continuity
    correction, its p-value the exact conditional one where chi-square does not hold (Mantel and
    Fleiss 1980), and how many strata are informative: they have both verdicts of the step and both
    of the answer.
    """
    informative = [
        counts
        for counts in strata
        if min(counts.steps_right, counts.steps_wrong, counts.answers_right, counts.answers_wrong)
    ]
    measured: dict[str, Any] = {
        "strata": len(strata),
        "informative_strata": len(informative),
        "risk_difference": pooled_risk_difference(strata),
    }
    if not informative:
        fault = Undefined("no stratum has right and wrong steps and right and wrong answers")
        return measured | dict.fromkeys(("chi_square", "p_value"), fault)
    from scipy import stats
    from statsmodels.stats.contingency_tables import StratifiedTable

    table = StratifiedTable([counts.array for counts in informative])
    statistic = float(table.test_null_odds(correction=False).statistic)
    # Its own p-value is 1 - cdf, which is 0 from about 1e-16 on.
    p_value = _exact_test(informative) if _few(informative) else stats.chi2.sf(statistic, 1)
    return measured | {"chi_square": statistic, "p_value": float(p_value)}


def pooled_risk_difference(strata: Sequence[Counts]) -> Value:
    """Return the Mantel-Haenszel risk difference; each stratum weighs n1 * n2 / (n1 + n2)."""
    compared = [one for one in strata if one.steps_right and one.steps_wrong]
    if not compared:
        return Undefined("no stratum has both right and wrong steps")
    weights = [one.steps_right * one.steps_wrong / sum(one) for one in compared]
    differences = [
        one.right_right / one.steps_right - one.wrong_right / one.steps_wrong for one in compared
    ]
    return float(np.average(differences, weights=weights))


def _margins(counts: Counts) -> tuple[int, int, int, int, int]:
    """Return n, right steps, right answers, and the least and most questions with both."""
    n, steps, answers = sum(counts), counts.steps_right, counts.answers_right
    return n, steps, answers, max(0, steps + answers - n), min(steps, answers)


def _few(strata: Sequence[Counts]) -> bool:
    """Return whether the expected count is too near an end of its range for chi-square."""
    expected = low = high = 0.0
    for n, steps, answers, least, most in map(_margins, strata):
        expected, low, high = expected + steps * answers / n, low + least, high + most
    return min(expected - low, high - expected) < SMALL_CELL


def _exact_test(strata: Sequence[Counts]) -> float:
    """Return the exact two-sided p-value given all margins; of one stratum, Fisher's."""
    from scipy import stats

    chances, start = np.ones(1), 0
    for n, steps, answers, least, most in map(_margins, strata):
        of_stratum = stats.hypergeom.pmf(np.arange(least, most + 1), n, answers, steps)
        chances, start = np.convolve(chances, of_stratum), start + least
    seen = chances[sum(counts.right_right for counts in strata) - start]
    return min(1.0, float(chances[chances <= seen * (1 + 1e-7)].sum()))
