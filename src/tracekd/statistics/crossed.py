"""Means over questions and seeds that are crossed: every seed answers every question.

Questions and seeds are both samples. With y[s, q] the verdict of seed s on question q (or the
difference of two regimes' verdicts), the two-way random-effects model is

    y[s, q] = mean + seed[s] + question[q] + residual[s, q]

and the variance of the mean is estimated without bias by (MS_seed + MS_question - MS_residual) /
(S Q), with degrees of freedom by Satterthwaite (Biometrics Bulletin 2, 1946). An interval over
questions alone treats these trained students as the only ones; one over seeds alone treats these
questions as the only ones, although question x regime variation is common to all seeds. Both are
too narrow for a statement about regimes. `benchmarks/calibration.py` prints coverage and power.
"""

from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from tracekd.statistics.paired import ALPHA, POWER
from tracekd.statistics.values import Tree, Undefined, Value

#: Fewer seeds support no claim about regimes: with two, 95 % intervals cover 90 to 96 %.
FEWEST_SEEDS = 3
#: Largest design that `needed` looks at.
_MOST = 100_000
#: Variances below it are rounding errors of verdicts and their differences.
_ROUNDING = 1e-15
_ALL_AGREE = Undefined("all seeds agree on every question")


@dataclass(frozen=True)
class Components:
    """Variances of the model's terms, estimated by the method of moments (not below 0)."""

    seed: float
    question: float
    residual: float

    def error(self, seeds: int, questions: int) -> tuple[float, float]:
        """Return the standard error of the mean and its degrees of freedom in a given design."""
        ms_seed = self.residual + questions * self.seed
        ms_question = self.residual + seeds * self.question
        return _error(ms_seed, ms_question, self.residual, seeds, questions)


@dataclass(frozen=True)
class Crossed:
    """The mean of all cells of a crossed table, and its standard error over seeds and questions.

    `df` are the error's Satterthwaite degrees of freedom; `seeds` and `questions` are counts.
    """

    mean: float
    error: float
    df: float
    components: Components
    seeds: int
    questions: int

    def interval(self, level: float = 1 - ALPHA) -> tuple[float, float]:
        """Return Student's interval of the mean."""
        from scipy import stats

        half = float(stats.t.ppf((1 + level) / 2, self.df)) * self.error
        return self.mean - half, self.mean + half

    def p_value(self) -> float:
        """Return the two-sided p-value of a mean of 0."""
        from scipy import stats

        return float(2 * stats.t.sf(abs(self.mean) / self.error, self.df))

    def equivalence_p_value(self, margin: float) -> float:
        """Return the p-value of two one-sided tests that the mean is within `margin` of 0.

        Source: Schuirmann, J. Pharmacokinetics and Biopharmaceutics 15, 1987. Equivalent at 5 %
        exactly if the 90 % interval is inside the margin.
        """
        from scipy import stats

        return float(stats.t.sf((margin - abs(self.mean)) / self.error, self.df))


def crossed(table: ArrayLike, fewest: int = FEWEST_SEEDS) -> Crossed | Undefined:
    """Return the mean of a (seeds, questions) table with its crossed error.

    Undefined for fewer than `fewest` seeds or two questions, and where all seeds agree on every
    question: nothing shows how much others vary.
    """
    cells = np.asarray(table, dtype=np.float64)
    seeds, questions = cells.shape
    if seeds < fewest:
        return Undefined(f"{seeds} seeds: fewer than {fewest} support no claim about regimes")
    if questions < 2:
        return Undefined("fewer than two questions")
    mean = cells.mean()
    by_seed, by_question = cells.mean(axis=1), cells.mean(axis=0)
    residuals = cells - by_seed[:, None] - by_question + mean
    ms_seed = questions * ((by_seed - mean) ** 2).sum() / (seeds - 1)
    ms_question = seeds * ((by_question - mean) ** 2).sum() / (questions - 1)
    ms_residual = (residuals**2).sum() / ((seeds - 1) * (questions - 1))
    error, df = _error(ms_seed, ms_question, ms_residual, seeds, questions)
    if not error:
        return _ALL_AGREE
    components = Components(
        seed=max(0.0, float(ms_seed - ms_residual) / questions),
        question=max(0.0, float(ms_question - ms_residual) / seeds),
        residual=float(ms_residual),
    )
    return Crossed(float(mean), error, df, components, seeds, questions)


def interval_and_p(found: Crossed | Undefined) -> Tree:
    """Return the interval, `low` and `high`, and the `p_value` of a mean, or why there is none."""
    if isinstance(found, Undefined):
        return dict.fromkeys(("low", "high", "p_value"), found)
    low, high = found.interval()
    return {"low": low, "high": high, "p_value": found.p_value()}


def _error(
    ms_seed: float, ms_question: float, ms_residual: float, seeds: int, questions: int
) -> tuple[float, float]:
    # By chance the estimate can fall below the residual variance, even below 0; the model's cannot.
    variance = float(max(ms_seed + ms_question - ms_residual, ms_residual))
    if variance < _ROUNDING:
        return 0.0, float(questions - 1)
    spread = (
        ms_seed**2 / (seeds - 1)
        + ms_question**2 / (questions - 1)
        + ms_residual**2 / ((seeds - 1) * (questions - 1))
    )
    return sqrt(variance / (seeds * questions)), float(variance**2 / spread)


def detectable(components: Components, seeds: int, questions: int) -> Value:
    """Return the smallest true mean that the test at `ALPHA` finds with probability `POWER`.

    Under an effect, the test's statistic has a noncentral t distribution.
    """
    from scipy import special, stats

    if seeds < FEWEST_SEEDS or questions < 2:
        return Undefined("too few seeds or questions")
    error, df = components.error(seeds, questions)
    if not error:
        return _ALL_AGREE
    return float(special.nctdtrinc(df, 1 - POWER, stats.t.ppf(1 - ALPHA / 2, df)) * error)


def needed(detectable_at: Callable[[int], Value], difference: float) -> Value:
    """Return the least number (of seeds, or questions) with which `difference` is detectable."""

    def enough(size: int) -> bool:
        found = detectable_at(size)
        return not isinstance(found, Undefined) and found <= difference

    size = bisect_left(range(_MOST + 1), True, key=enough)
    return size if size <= _MOST else Undefined(f"more than {_MOST} would not be enough")
