"""How far a step and the answer are associated: the 2x2 and what follows from it."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from tracekd.statistics.intervals import newcombe_interval, wilson_interval
from tracekd.statistics.values import Tree, Undefined, ratio

#: If an expected count is below this, the exact test replaces chi-square (Cochran's rule).
SMALL_CELL = 5


class Counts(NamedTuple):
    """A 2x2 of questions. The first word is the step's verdict, the second the answer's."""

    right_right: int
    right_wrong: int
    wrong_right: int
    wrong_wrong: int

    @property
    def steps_right(self) -> int:
        """Questions whose step is right."""
        return self.right_right + self.right_wrong

    @property
    def steps_wrong(self) -> int:
        """Questions whose step is wrong."""
        return self.wrong_right + self.wrong_wrong

    @property
    def answers_right(self) -> int:
        """Questions whose answer is right."""
        return self.right_right + self.wrong_right

    @property
    def answers_wrong(self) -> int:
        """Questions whose answer is wrong."""
        return self.right_wrong + self.wrong_wrong

    @property
    def array(self) -> NDArray[np.int64]:
        """The table, rows step right and wrong, columns answer right and wrong."""
        return np.array(self, dtype=np.int64).reshape(2, 2)


def count(step: ArrayLike, answer: ArrayLike) -> Counts:
    """Return the 2x2 of two boolean arrays of the same length (no nulls)."""
    step, answer = np.asarray(step, dtype=bool), np.asarray(answer, dtype=bool)
    cells = np.bincount(3 - (2 * step.astype(np.int64) + answer), minlength=4)
    return Counts(*map(int, cells))


def shares(counts: Counts, step: str = "step") -> Tree:
    """Return the four counts and P(answer right) given that the step is right, and wrong."""
    right, wrong = f"no {step} step is right", f"no {step} step is wrong"
    return {
        **counts._asdict(),
        "p_answer_if_right": ratio(counts.right_right, counts.steps_right, right),
        "p_answer_if_wrong": ratio(counts.wrong_right, counts.steps_wrong, wrong),
    }


def association(counts: Counts, step: str = "step") -> Tree:
    """Return `shares` and the measures of association, with 95 % intervals where they exist.

    A measure is undefined where a verdict that it compares is of no question.

    Risk difference with Newcombe's interval; phi; Pearson's chi-square without continuity
    correction and its p-value, which is Fisher's exact one if an expected count is below 5
    (`exact_test` is then 1).
    """
    one_sided = _missing(f"no {step} step is", counts.steps_right, counts.steps_wrong)
    one_verdict = _missing("no answer is", counts.answers_right, counts.answers_wrong)
    interval = ("risk_difference", "risk_difference_low", "risk_difference_high")
    measured: dict[str, Any] = {}
    for names, measure, fault in (
        (interval, risk_difference, one_sided),
        (("phi", "chi_square", "p_value", "exact_test"), independence, one_sided or one_verdict),
    ):
        values = [fault] * len(names) if fault else measure(counts)
        measured |= dict(zip(names, values, strict=True))
    return {**shares(counts, step), **measured}


def risk_difference(counts: Counts) -> tuple[float, float, float]:
    """Return P(answer right | step right) - P(answer right | step wrong), Newcombe's interval."""
    right, wrong = counts.right_right / counts.steps_right, counts.wrong_right / counts.steps_wrong
    low, high = newcombe_interval(
        (right, *wilson_interval(counts.right_right, counts.steps_right)),
        (wrong, *wilson_interval(counts.wrong_right, counts.steps_wrong)),
    )
    return right - wrong, low, high


def independence(counts: Counts) -> tuple[float, float, float, int]:
    """Return phi, chi-square, the p-value of no association, and 1 if that is Fisher's.

    Phi is the correlation of the two verdicts, from -1 to 1.
    """
    from scipy import stats

    a, b, c, d = counts
    phi = (a * d - b * c) / float(np.sqrt(float(a + b) * (c + d) * (a + c) * (b + d)))
    found = stats.chi2_contingency(counts.array, correction=False)
    exact = found.expected_freq.min() < SMALL_CELL
    p_value = stats.fisher_exact(counts.array).pvalue if exact else found.pvalue
    return phi, float(found.statistic), float(p_value), int(exact)


def _missing(what: str, right: int, wrong: int) -> Undefined | None:
    if right and wrong:
        return None
    return Undefined(f"{what} {'wrong' if right else 'right'}")
