"""Association of a step with the answer in the table of scores, and how far leakage explains it."""

from collections.abc import Collection
from typing import Any

import polars as pl

from tracekd.statistics import bootstrap
from tracekd.statistics.association import Counts, association, count
from tracekd.statistics.clustered import difference, share
from tracekd.statistics.intervals import share_interval
from tracekd.statistics.stratified import stratified
from tracekd.statistics.values import Tree, ratio
from tracekd.traces.regimes import Step

#: Section -> column with its verdict, in the order of the summary and the plots.
STEPS = {"class": "class_correct", "facts": "facts_exact", "trace": "trace_correct"}


def taught_sections(steps: Collection[Step]) -> list[str]:
    """Return the names in `STEPS` that have verdicts: the taught steps and, if any, the trace."""
    return [name for name in STEPS if name in steps or (name == "trace" and steps)]


def counts_of(scores: pl.DataFrame, column: str) -> Counts:
    """Return the 2x2 of a verdict (no nulls) with the answer's."""
    return count(scores[column].to_numpy(), scores["answer_correct"].to_numpy())


def step_association(scores: pl.DataFrame, step: str) -> Tree:
    """Return the association of a step with the answer, overall and within classes."""
    overall = association(counts_of(scores, STEPS[step]), step)
    return {**overall, "within_classes": stratified(_by_class(scores, STEPS[step]))}


def leakage(scores: pl.DataFrame, steps: Collection[Step]) -> Tree:
    """Return how much of the association the answer's presence in the trace can explain.

    Shares among traces that quote facts: how many state the gold answer; how many of the right and
    of the wrong answers follow such a trace. Then the association of the trace with the answer
    again among traces with and without leakage, and pooled over the two.
    """
    quoting = scores.filter(pl.col("answer_in_trace").is_not_null())
    stating = counts_of(quoting, "answer_in_trace")
    none_right, none_wrong = (
        f"no answer given a trace with facts is {verdict}" for verdict in ("right", "wrong")
    )
    section: dict[str, Any] = {
        "traces_with_facts": quoting.height,
        "states_answer": ratio(stating.steps_right, quoting.height, "no trace quotes facts"),
        "right_answers_stated": ratio(stating.right_right, stating.answers_right, none_right),
        "wrong_answers_stated": ratio(stating.right_wrong, stating.answers_wrong, none_wrong),
    }
    if not steps or quoting.is_empty():
        return section
    strata = {
        name: counts_of(quoting.filter(pl.col("answer_in_trace") == stated), "trace_correct")
        for name, stated in (("with_leakage", True), ("without_leakage", False))
    }
    split = {name: association(counts, "trace") for name, counts in strata.items()}
    return {**section, **split, "held_fixed": stratified(list(strata.values()))}


def intervals(scores: pl.DataFrame, parts: Collection[str], steps: Collection[Step]) -> Tree:
    """Return 95 % intervals, under the keys of the figures they belong to.

    Shares have Wilson's interval, other means the bootstrap's over questions; the risk difference
    within classes has that of `statistics.clustered`. `parts` are columns of the answer metric
    whose mean is a figure.
    """
    taught = taught_sections(steps)
    columns = {"answer": {"accuracy": "answer_correct", **{part: part for part in parts}}}
    for step in taught:
        exact = {"exact": "facts_exact", "f1": "facts_f1"}
        columns[step] = exact if step == "facts" else {"accuracy": STEPS[step]}
    section: dict[str, Any] = {
        name: {figure: _mean(scores, column) for figure, column in figures.items()}
        for name, figures in columns.items()
    }
    if taught:
        section["link"] = {step: _association_intervals(scores, step) for step in taught}
    return section


def _by_class(scores: pl.DataFrame, column: str) -> list[Counts]:
    classes = scores.sort("question_class").partition_by("question_class", maintain_order=True)
    return [counts_of(rows, column) for rows in classes]


def _mean(scores: pl.DataFrame, column: str) -> Tree:
    values = scores[column].drop_nulls().cast(pl.Float64)
    if values.is_in([0.0, 1.0]).all():  # the bootstrap has no width where all agree
        low, high = share_interval(int(values.sum()), len(values), "no question")
    else:
        rng = bootstrap.generator("bootstrap", column)
        low, high = bootstrap.mean_interval(values.to_numpy(), rng)
    return {"low": low, "high": high}


def _association_intervals(scores: pl.DataFrame, step: str) -> Tree:
    step_right, answers = (
        scores[column].to_numpy()[None] for column in (STEPS[step], "answer_correct")
    )
    right, wrong = f"no {step} step is right", f"no {step} step is wrong"
    classes = scores["question_class"].to_numpy()
    found = {
        "p_answer_if_right": share(answers, step_right, right),
        "p_answer_if_wrong": share(answers, ~step_right, wrong),
        "risk_difference_within_classes": difference(step_right, answers, classes),
    }
    return {name: {end: one[end] for end in ("low", "high")} for name, one in found.items()}
