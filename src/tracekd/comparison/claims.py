"""The paper's headline claims, judged for our runs by fixed rules.

Every rule checks a 95 % interval: does it exclude the claim, or is all of it within a margin of the
claim? If neither, there are too few runs to decide. No rule uses a point estimate alone, and none
decides on fewer than three seeds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from tracekd.comparison.markdown import with_interval
from tracekd.statistics.crossed import FEWEST_SEEDS
from tracekd.statistics.paired import ALPHA
from tracekd.statistics.values import Undefined

Verdict = Literal["supports", "contradicts", "cannot decide"]
#: A verdict and the numbers that it is based on.
Judged = tuple[Verdict, str]

Judge = Callable[[Mapping[str, Any]], Judged]
Range = tuple[float, float]

#: "28 %": what still counts as the same.
_28_PERCENT = (0.23, 0.33)
#: "nearly independent": differences of P(answer right) that are negligible.
_NEGLIGIBLE = (-0.10, 0.10)
#: "do not hurt": largest loss of accuracy that is negligible.
HURT_MARGIN = 0.05


@dataclass(frozen=True)
class Claim:
    """A claim and the rule that judges it in one cell.

    Attributes:
        judge: takes the results of one cell.
        universal: whether one contradicting cell contradicts the claim as a whole; a claim that
            something is "not consistently" so is contradicted only by two cells or more, if no
            cell supports it.
    """

    text: str
    rule: str
    judge: Judge
    universal: bool = True


def judge_all(cells: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return claim -> rule, verdict over all cells, and the verdict and numbers of each."""
    found = {}
    for name, claim in CLAIMS.items():
        judged = {label: claim.judge(results) for label, results in cells.items()}
        found[name] = {
            "claim": claim.text,
            "rule": claim.rule,
            "verdict": overall([verdict for verdict, _ in judged.values()], claim.universal),
            "cells": {label: {"verdict": v, "because": why} for label, (v, why) in judged.items()},
        }
    return found


def overall(verdicts: list[Verdict], universal: bool) -> Verdict:
    """Return the verdict over cells (see `Claim.universal`); undecided cells do not count."""
    against, in_favour = verdicts.count("contradicts"), verdicts.count("supports")
    if universal and against:
        return "contradicts"
    if in_favour:
        return "supports"
    return "contradicts" if against > 1 else "cannot decide"


def _of_correct(results: Mapping[str, Any], name: str) -> Mapping[str, Any] | str:
    """Return an estimate of the association in the correct regime, or why no claim rests on it."""
    found = results["regimes"].get("correct", {}).get("link")
    if found is None:
        return "no run of the correct regime"
    if (seeds := len(found["by_seed"])) < FEWEST_SEEDS:
        return f"{seeds} seeds: fewer than {FEWEST_SEEDS} support no claim about regimes"
    estimate: Mapping[str, Any] = found[name]
    low = estimate["low"]
    return low.reason if isinstance(low, Undefined) else estimate


def _interval(of: str, excluded: Range, within: Range, name: str = "") -> Judge:
    """Return a rule on the interval of an estimate of the association.

    It contradicts if it shares nothing with `excluded`, and supports if it lies `within`.
    """

    def judge(results: Mapping[str, Any]) -> Judged:
        estimate = _of_correct(results, of)
        if isinstance(estimate, str):
            return "cannot decide", estimate
        low, high = estimate["low"], estimate["high"]
        because = f"{name}{with_interval(estimate)}"
        if high < excluded[0] or low > excluded[1]:
            return "contradicts", because
        if low >= within[0] and high <= within[1]:
            return "supports", because
        return "cannot decide", because

    return judge


def _harmless(results: Mapping[str, Any]) -> Judged:
    sign = 1 if "incorrect - correct" in results["paired"] else -1
    name = "incorrect - correct" if sign == 1 else "correct - incorrect"
    if name not in results["paired"]:
        return "cannot decide", "no pair of the incorrect and the correct regime"
    found = results["paired"][name]
    if isinstance(found["low"], Undefined):
        return "cannot decide", found["low"].reason
    low, high = sorted((sign * found["low"], sign * found["high"]))
    change = {"mean": sign * found["difference"], "low": low, "high": high}
    p_value = found["p_holm"]
    p_text = "undefined" if isinstance(p_value, Undefined) else f"{p_value:.2g}"
    because = f"incorrect - correct {with_interval(change)}, p (Holm) {p_text}"
    if high < 0 and not isinstance(p_value, Undefined) and p_value < ALPHA:
        return "contradicts", because
    return ("supports" if low > -HURT_MARGIN else "cannot decide"), because


CLAIMS = {
    "28_percent_of_questions": Claim(
        "A correct trace led to a correct answer in only 28 % of test cases "
        "(read as: of all test questions)",
        "correct regime; interval of the share of questions with trace and answer right: within "
        "23 to 33 % supports, entirely outside contradicts",
        _interval("both_right", _28_PERCENT, _28_PERCENT),
    ),
    "28_percent_of_right_traces": Claim(
        "A correct trace led to a correct answer in only 28 % of test cases "
        "(read as: of the questions whose trace is right)",
        "correct regime; interval of P(answer right | trace right): within 23 to 33 % supports, "
        "entirely outside contradicts",
        _interval("p_answer_if_right", _28_PERCENT, _28_PERCENT),
    ),
    "nearly_independent": Claim(
        "Trace and answer are nearly independent (chi-square below 3.841)",
        "correct regime; interval of P(answer right | trace right) - P(answer right | trace wrong) "
        "over all seeds excludes 0: contradicts; within 10 points of 0: supports",
        _interval("risk_difference", (0, 0), _NEGLIGIBLE, "difference "),
    ),
    "incorrect_does_not_consistently_hurt": Claim(
        "Incorrect traces do not consistently hurt",
        "paired difference in accuracy, incorrect - correct regime, crossed over questions and "
        "seeds: interval below 0 and Holm's p < 0.05: contradicts; interval above -5 points: "
        "supports. "
        "Overall: one supporting group of runs is enough; contradicted if none supports and two "
        "contradict",
        _harmless,
        universal=False,
    ),
}
