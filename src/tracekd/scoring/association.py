"""From the table of scores to what a reviewer asks: is the link real, and is it only leakage?"""

from typing import Any

import polars as pl

from tracekd.statistics import bootstrap
from tracekd.statistics.association import (
    SMALL_CELL,
    Counts,
    association,
    count,
    share_interval,
    shares,
)
from tracekd.statistics.stratified import mantel_haenszel_differences, stratified
from tracekd.statistics.values import Tree, Undefined, Value, ratio

#: Section -> column with its verdict. The order is that of the summary and the plots.
STEPS = {"class": "class_correct", "facts": "facts_exact", "trace": "trace_correct"}


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
    """Return 95 % intervals, in the places of the figures they belong to.

    Shares have Wilson's, other means and the pooled risk difference the bootstrap over questions.

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
    """Return the 2x2 of each class, in the order of their names."""
    step, answer = pl.col(column), pl.col("answer_correct")
    cells = (step & answer, step & ~answer, ~step & answer, ~step & ~answer)
    counts = dict(zip(Counts._fields, (cell.sum() for cell in cells), strict=True))
    groups = scores.group_by("question_class").agg(**counts).sort("question_class")
    return [Counts(*row) for row in groups.drop("question_class").iter_rows()]


def _mean(scores: pl.DataFrame, column: str) -> Tree:
    """Return Wilson's interval of a share of verdicts, the bootstrap's of any other mean."""
    values = scores[column].drop_nulls()
    if values.dtype == pl.Boolean:
        return _bounds(share_interval(int(values.sum()), len(values), "no question"))
    if values.is_in([0.0, 1.0]).all():  # the bootstrap has no width where all agree
        return _bounds(share_interval(int(values.sum()), len(values), "no question"))
    # Sorted: which question is drawn must not depend on the order of the rows.
    rng = bootstrap.generator("bootstrap", column)
    return _bounds(bootstrap.mean_interval(values.sort().to_numpy(), rng))


def _link_intervals(scores: pl.DataFrame, step: str) -> Tree:
    strata = _by_class(scores, STEPS[step])
    whole = Counts(*map(sum, zip(*strata, strict=True)))
    given = {
        "p_answer_if_right": share_interval(
            whole.right_right, whole.steps_right, f"no {step} step is right"
        ),
        "p_answer_if_wrong": share_interval(
            whole.wrong_right, whole.steps_wrong, f"no {step} step is wrong"
        ),
        "risk_difference_within_classes": _pooled_interval(strata, whole, step),
    }
    return {name: _bounds(bounds) for name, bounds in given.items()}


def _pooled_interval(strata: list[Counts], whole: Counts, step: str) -> tuple[Value, Value]:
    if min(whole.steps_right, whole.steps_wrong) < SMALL_CELL:
        few = Undefined(f"fewer than {SMALL_CELL} {step} steps are right, or wrong")
        return few, few
    rng = bootstrap.generator("bootstrap", "link", step)
    return bootstrap.interval(strata, mantel_haenszel_differences, rng)


def _bounds(bounds: tuple[Value, Value]) -> Tree:
    return {"low": bounds[0], "high": bounds[1]}
