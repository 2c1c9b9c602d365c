"""The association of trace and answer over several seeds that answer the same questions.

A question's verdicts under several seeds are not independent. Questions are resampled with all
their seeds: the variance of a share is that of the questions' contributions to it, to which the
bootstrap of whole questions converges. The share's interval is Wilson's for as many independent
verdicts as have this variance (Korn and Graubard, Survey Methodology 24, 1998), so it has a width
where all verdicts agree. With one seed it is Wilson's own, and a difference's is Newcombe's.
`benchmarks/calibration.py` prints coverage, false alarms and power.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracekd.statistics.association import SMALL_CELL
from tracekd.statistics.crossed import crossed
from tracekd.statistics.intervals import newcombe_interval, wilson_interval
from tracekd.statistics.values import Tree, Undefined, Value

#: Through two doses every response is a straight line.
FEWEST_DOSES = 3
#: 97.5 % point of the normal distribution.
_NORMAL = 1.959964

_Verdicts = NDArray[np.bool_]


@dataclass(frozen=True)
class ClusteredShare:
    """A share of right verdicts; `parts` are the questions' contributions to its error.

    `worth` is the number of independent verdicts that would be as certain.
    """

    value: float
    parts: NDArray[np.float64]
    worth: float

    @property
    def bounds(self) -> tuple[float, float, float]:
        """The share and its 95 % interval."""
        return self.value, *wilson_interval(self.value * self.worth, self.worth)


def share(verdicts: ArrayLike, among: ArrayLike, reason: str) -> Tree:
    """Return the share of right verdicts among some of (seeds, questions), with its interval.

    With three or more seeds the interval is crossed: other seeds on other questions. With fewer it
    is over questions. Undefined for `reason` if `among` is empty.
    """
    right, chosen = np.asarray(verdicts, dtype=bool), np.asarray(among, dtype=bool)
    if not chosen.any():
        return dict.fromkeys(("mean", "low", "high"), Undefined(reason))
    one = _share(right, chosen, np.zeros(chosen.shape, int), np.ones(1))
    # The share as the mean of a table: its linearisation.
    found = crossed(one.value + chosen * (right - one.value) / chosen.mean())
    worth = one.worth
    if not isinstance(found, Undefined):
        wider = (found.interval()[1] - found.mean) / _NORMAL
        worth = min(worth, one.value * (1 - one.value) / wider**2)
    low, high = wilson_interval(one.value * worth, worth)
    return {"mean": one.value, "low": low, "high": high}


def difference(trace: ArrayLike, answer: ArrayLike, classes: ArrayLike | None = None) -> Tree:
    """Return P(answer right | trace right) - P(answer right | trace wrong) with interval and p.

    Pooled within seeds and, if given, within classes (Mantel-Haenszel): good seeds or easy classes
    alone make no difference. The interval is over questions: Newcombe's, with the correlation of
    the two shares (Zou and Donner, Statistics in Medicine 27, 2008). p is that of the
    Mantel-Haenszel chi-square if whole questions are permuted within classes; with one seed it is
    Cochran's, Mantel's and Haenszel's.

    Args:
        trace: (seeds, questions) verdicts.
        answer: the same of the answers.
        classes: (questions,) the class of each question.

    Returns:
        `mean`, `low`, `high`, `p_value`; undefined if fewer than five questions have a right trace,
        or a wrong one, where there is one of the other kind.
    """
    right, answers = np.asarray(trace, dtype=bool), np.asarray(answer, dtype=bool)
    names = np.zeros(right.shape[1]) if classes is None else np.asarray(classes)
    groups = np.unique(names, return_inverse=True)[1]
    found = _given(right, answers, groups)
    if isinstance(found, Undefined):
        return dict.fromkeys(("mean", "low", "high", "p_value"), found)
    mean, low, high = _apart(*found)
    p_value = _permutation_p_value(right, answers, groups)
    return {"mean": mean, "low": low, "high": high, "p_value": p_value}


def difference_slope(doses: Mapping[float, tuple[_Verdicts, _Verdicts]]) -> Tree:
    """Return the least-squares slope of `difference` over doses, with its interval.

    The interval comes from those of the differences, with their correlations: the same questions
    are asked at every dose (Zou and Donner 2008, of a linear combination).

    Args:
        doses: dose -> (seeds, questions) verdicts of traces and of answers, the same questions for
            all; doses without a difference are left out.
    """
    found = {at: _given(*one, np.zeros(one[0].shape[1], int)) for at, one in doses.items()}
    known = {at: one for at, one in found.items() if not isinstance(one, Undefined)}
    if len(known) < FEWEST_DOSES:
        reason = f"fewer than {FEWEST_DOSES} doses have enough right and wrong traces"
        return dict.fromkeys(("slope", "low", "high"), Undefined(reason))
    apart, low, high = np.array([_apart(*one) for one in known.values()]).T
    centred = np.array(list(known)) - np.mean(list(known))
    weights = centred / (centred @ centred)
    correlations = _correlations(
        np.stack([one.parts - other.parts for one, other in known.values()])
    )
    slope = float(weights @ apart)
    down = weights * np.where(weights > 0, apart - low, high - apart)
    up = weights * np.where(weights > 0, high - apart, apart - low)
    # By rounding alone a variance may be below 0.
    below, above = (float(np.sqrt(max(0.0, one @ correlations @ one))) for one in (down, up))
    return {"slope": slope, "low": slope - below, "high": slope + above}


def _apart(one: ClusteredShare, other: ClusteredShare) -> tuple[float, float, float]:
    """Return the difference of two shares and its interval."""
    correlation = float(_correlations(np.stack([one.parts, other.parts]))[0, 1])
    return one.value - other.value, *newcombe_interval(one.bounds, other.bounds, correlation)


def _correlations(parts: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the correlations of estimates, given their questions' contributions in rows."""
    lengths = np.linalg.norm(parts, axis=1, keepdims=True)
    scaled = parts / np.where(lengths, lengths, 1.0)
    matrix: NDArray[np.float64] = scaled @ scaled.T
    np.fill_diagonal(matrix, 1.0)
    return matrix


def _given(
    trace: _Verdicts, answers: _Verdicts, groups: NDArray[np.int64]
) -> tuple[ClusteredShare, ClusteredShare] | Undefined:
    """Return the shares given right and wrong traces, with Mantel's and Haenszel's weights."""
    strata = np.arange(len(trace))[:, None] * (groups.max(initial=0) + 1) + groups
    sizes = [np.bincount(strata[on], minlength=strata.max() + 1) for on in (trace, ~trace)]
    weights = sizes[0] * sizes[1] / np.maximum(sizes[0] + sizes[1], 1)
    compared = [on & (weights[strata] > 0) for on in (trace, ~trace)]
    for verdict, on in zip(("right", "wrong"), compared, strict=True):
        if (few := on.any(axis=0).sum()) < SMALL_CELL:
            return Undefined(f"{few} questions with a {verdict} step: fewer than {SMALL_CELL}")
    one, other = (_share(answers, on, strata, weights / weights.sum()) for on in compared)
    return one, other


def _share(
    verdicts: _Verdicts, among: _Verdicts, strata: NDArray[np.int64], weights: NDArray[np.float64]
) -> ClusteredShare:
    """Return the weighted mean of the strata's shares; the weights sum to 1."""
    from scipy import stats

    sizes = np.bincount(strata[among], minlength=weights.size)
    right = np.bincount(strata[among & verdicts], minlength=weights.size)
    scale = weights / np.maximum(sizes, 1)
    value = float(scale @ right)
    # Few verdicts show too little variance: a stratum's share is drawn towards the mean by one
    # verdict, and the variance is not below that of independent verdicts.
    drawn = (right + value) / (sizes + 1)
    parts = (scale[strata] * among * (verdicts - drawn[strata])).sum(axis=0)
    if right.sum() in (0, sizes.sum()):
        return ClusteredShare(float(right.any()), parts, float(among.any(axis=0).sum()))
    variance = max(parts @ parts, scale**2 @ (sizes * drawn * (1 - drawn)))
    if len(among) > 1:  # few questions tell little of how they cluster
        df = max(1, among.any(axis=0).sum() - 1)
        variance *= (stats.t.ppf(0.975, df) / _NORMAL) ** 2
    return ClusteredShare(value, parts, value * (1 - value) / variance)


def _permutation_p_value(trace: _Verdicts, answer: _Verdicts, groups: NDArray[np.int64]) -> Value:
    from scipy import stats

    total = variance = 0.0
    for group in range(groups.max() + 1):
        one, other = (
            verdicts[:, groups == group] - verdicts[:, groups == group].mean(axis=1, keepdims=True)
            for verdicts in (trace, answer)
        )
        total += float((one * other).sum())
        variance += float(((one @ one.T) * (other @ other.T)).sum()) / max(1, one.shape[1] - 1)
    if variance <= 0:
        return Undefined("within each stratum all traces or all answers have the same verdict")
    return float(stats.chi2.sf(total**2 / variance, 1))
