"""From the table of scores to what a reviewer asks: is the link real, and is it only leakage?"""

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd.statistics import bootstrap
from tracekd.statistics.link import Counts, association, count, shares
from tracekd.statistics.stratified import mantel_haenszel_differences, stratified
from tracekd.statistics.values import Tree, Value, ratio

#: Section -> column with its verdict. The order is that of the summary and the plots.
STEPS = {"class": "class_correct", "facts": "facts_exact", "trace": "trace_correct"}

_Cells = NDArray[np.float64]


def taught_steps(scores: pl.DataFrame) -> list[str]:
    """Return the steps that have verdicts: those that the regime teaches."""
    return [step for step, column in STEPS.items() if scores[column].null_count() == 0]


def counts_of(scores: pl.DataFrame, column: str) -> Counts:
    """Return the 2x2 of a verdict (no nulls) with the answer's."""
    return count(scores[column].to_numpy(), scores["answer_correct"].to_numpy())


def link(scores: pl.DataFrame, step: str) -> Tree:
    """Return the association of a step with the answer, overall and within classes."""
    strata = _by_class(scores, STEPS[step])
    return {
        **association(counts_of(scores, STEPS[step]), step),
        "within_classes": stratified(strata),
    }


def leakage(scores: pl.DataFrame) -> Tree:
    """Return how much of the link the answer's own presence in the trace can explain.

    Shares among traces that quote facts: how many state the gold answer; how many of the right and
    of the wrong answers stand behind such a trace. Then the link of the whole trace with the answer
    again among traces with and without leakage, and pooled over the two.
    """
    quoting = scores.filter(pl.col("answer_in_trace").is_not_null())
    stating = counts_of(quoting, "answer_in_trace")
    nothing = "no trace quotes facts"
    section: dict[str, Any] = {
        "traces_with_facts": quoting.height,
        "states_answer": ratio(stating.steps_right, quoting.height, nothing),
        "right_answers_stated": ratio(
            stating.right_right,
            stating.right_right + stating.wrong_right,
            "no answer behind a trace with facts is right",
        ),
        "wrong_answers_stated": ratio(
            stating.right_wrong,
            stating.right_wrong + stating.wrong_wrong,
            "no answer behind a trace with facts is wrong",
        ),
    }
    if scores["trace_correct"].null_count() or quoting.is_empty():
        return section
    strata = {
        name: counts_of(quoting.filter(pl.col("answer_in_trace") == stated), "trace_correct")
        for name, stated in (("with_leakage", True), ("without_leakage", False))
    }
    links = {name: association(counts, "trace") for name, counts in strata.items()}
    return {**section, **links, "held_fixed": stratified(list(strata.values()))}


def intervals(scores: pl.DataFrame, parts: tuple[str, ...]) -> Tree:
    """Return 95 % bootstrap intervals over questions, in the places of the figures they belong to.

    Args:
        scores: the table of scores.
        parts: columns of the answer metric whose mean is a figure.
    """
    taught = taught_steps(scores)
    answer = {"accuracy": "answer_correct", **{part: part for part in parts}}
    section: dict[str, Any] = {
        "answer": {name: _mean(scores, column) for name, column in answer.items()}
    }
    for step in taught:
        columns = (
            {"exact": "facts_exact", "f1": "facts_f1"}
            if step == "facts"
            else {"accuracy": STEPS[step]}
        )
        section[step] = {name: _mean(scores, column) for name, column in columns.items()}
    if taught:
        section["link"] = {step: _link_intervals(scores, step) for step in taught}
    return section


def short_link(scores: pl.DataFrame, step: str) -> Tree:
    """Return the 2x2 alone, for groups that are too small for more."""
    return shares(counts_of(scores, STEPS[step]), step)


def _by_class(scores: pl.DataFrame, column: str) -> list[Counts]:
    groups = scores.sort("question_class").group_by("question_class", maintain_order=True)
    return [counts_of(rows, column) for _, rows in groups]


def _mean(scores: pl.DataFrame, column: str) -> Tree:
    values = scores[column].drop_nulls().cast(pl.Float64).sort().to_numpy()
    return _bounds(bootstrap.mean_interval(values, bootstrap.generator("bootstrap", column)))


def _link_intervals(scores: pl.DataFrame, step: str) -> Tree:
    cells = np.array(_by_class(scores, STEPS[step]), dtype=np.float64)
    drawn = bootstrap.resample_counts(cells, bootstrap.generator("bootstrap", "link", step))
    pooled = drawn.sum(axis=1)
    right, wrong = _given(pooled[:, :2]), _given(pooled[:, 2:])
    resampled = {
        "p_answer_if_right": right,
        "p_answer_if_wrong": wrong,
        "risk_difference": right - wrong,
        "risk_difference_within_classes": mantel_haenszel_differences(drawn),
    }
    return {name: _bounds(bootstrap.percentiles(values)) for name, values in resampled.items()}


def _given(cells: _Cells) -> _Cells:
    """Return the share of right answers in (resamples, 2) counts; NaN where there are none."""
    total = cells.sum(axis=1)
    found = np.full(len(cells), np.nan)
    np.divide(cells[:, 0], total, out=found, where=total > 0)
    return found


def _bounds(bounds: tuple[Value, Value]) -> Tree:
    return {"low": bounds[0], "high": bounds[1]}
