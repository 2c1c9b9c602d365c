"""The association with a third variable held fixed: easy and hard strata cannot fake or hide it.

Cochran-Mantel-Haenszel: each stratum (a class of questions) has its own 2x2; what is pooled is the
association within strata.
"""

from collections.abc import Sequence

import numpy as np

from tracekd.statistics.association import SMALL_CELL, Counts
from tracekd.statistics.intervals import LEVEL
from tracekd.statistics.values import Tree, Undefined, Value

#: An odds ratio this near to 1 is 1.
_EQUAL = 1e-8


def stratified(strata: Sequence[Counts]) -> Tree:
    """Return the pooled association within strata.

    Mantel-Haenszel risk difference and odds ratio (interval of Robins, Breslow and Greenland),
    the Cochran-Mantel-Haenszel test without continuity correction, its p-value the exact
    conditional one where chi-square does not hold (Mantel and Fleiss 1980), Breslow and Day's test
    that all strata have the same odds ratio, with Tarone's correction, and how many strata are
    informative: they have both verdicts of the step and both of the answer.
    """
    informative = [
        counts
        for counts in strata
        if min(counts.steps_right, counts.steps_wrong, counts.answers_right, counts.answers_wrong)
    ]
    odds, low, high = _pooled_odds(informative)
    heterogeneity, unequal = _equal_odds(informative, odds)
    statistic, p_value = _test(informative)
    return {
        "strata": len(strata),
        "informative_strata": len(informative),
        "risk_difference": pooled_risk_difference(strata),
        "odds_ratio": odds,
        "odds_ratio_low": low,
        "odds_ratio_high": high,
        "chi_square": statistic,
        "p_value": p_value,
        "equal_odds_chi_square": heterogeneity,
        "equal_odds_p_value": unequal,
    }


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


def _pooled_odds(strata: Sequence[Counts]) -> tuple[Value, Value, Value]:
    concordant = sum(c.right_right * c.wrong_wrong for c in strata)
    discordant = sum(c.right_wrong * c.wrong_right for c in strata)
    if not concordant or not discordant:
        fault = Undefined("no stratum has both concordant and discordant questions")
        if strata:
            fault = Undefined("over all strata, a diagonal of the 2x2 is empty")
        return fault, fault, fault
    from statsmodels.stats.contingency_tables import StratifiedTable

    table = StratifiedTable([counts.array for counts in strata])
    low, high = table.oddsratio_pooled_confint(alpha=1 - LEVEL)
    return float(table.oddsratio_pooled), float(low), float(high)


def _equal_odds(strata: Sequence[Counts], odds: Value) -> tuple[Value, Value]:
    if isinstance(odds, Undefined):
        return odds, odds
    reason = "" if len(strata) > 1 else "fewer than two informative strata"
    if abs(odds - 1) < _EQUAL:  # the quadratic equation for the expected counts degenerates
        reason = "the pooled odds ratio is 1"
    if reason:
        return Undefined(reason), Undefined(reason)
    from scipy import stats
    from statsmodels.stats.contingency_tables import StratifiedTable

    table = StratifiedTable([counts.array for counts in strata])
    statistic = max(0.0, float(table.test_equal_odds(adjust=True).statistic))
    return statistic, float(stats.chi2.sf(statistic, len(strata) - 1))


def _test(strata: Sequence[Counts]) -> tuple[Value, Value]:
    if not strata:
        fault = Undefined("no stratum has right and wrong steps and right and wrong answers")
        return fault, fault
    from scipy import stats
    from statsmodels.stats.contingency_tables import StratifiedTable

    table = StratifiedTable([counts.array for counts in strata])
    statistic = float(table.test_null_odds(correction=False).statistic)
    # Its own p-value is 1 - cdf, which is 0 from about 1e-16 on.
    p_value = _exact_test(strata) if _few(strata) else float(stats.chi2.sf(statistic, 1))
    return statistic, p_value


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
