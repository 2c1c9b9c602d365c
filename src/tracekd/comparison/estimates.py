"""The figures of one regime: means over seeds with intervals, association of trace and answer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekd.comparison.scores import Matrix, RegimeScores
from tracekd.statistics import bootstrap
from tracekd.statistics.association import association, count
from tracekd.statistics.clustered import difference, share
from tracekd.statistics.crossed import crossed
from tracekd.statistics.intervals import wilson_interval
from tracekd.statistics.values import Tree, Undefined, Value

_PER_SEED = ("phi", "chi_square", "p_value", "exact_test")


def regime_figures(scores: RegimeScores, classes: NDArray[np.str_], key: str) -> Tree:
    """Return the figures of a regime in one cell; `key` seeds the bootstrap."""
    answer = scores.measures["answer"]
    figures: dict[str, Any] = {
        "seeds": [one.label for one in scores.replicates],
        "n": answer.shape[1],
    }
    for measure, matrix in scores.measures.items():
        figures[measure] = estimate(matrix, f"{key}/{measure}")
    if "trace" in scores.measures:
        figures["link"] = pooled_association(scores, classes, key)
    figures["by_class"] = {
        str(name): {"n": int((classes == name).sum()), **estimate(answer[:, classes == name], key)}
        for name in np.unique(classes)
    }
    return figures


def estimate(matrix: Matrix, key: str) -> Tree:
    """Return the mean of (seeds, questions) values from 0 to 1, its 95 % interval and its kind.

    With three or more seeds the interval is crossed: other seeds on other questions (cut to 0 to
    1). With fewer it is over questions: these trained models on other questions (Wilson's score
    interval for verdicts that all seeds share, bootstrap for anything else).
    """
    low: Value
    high: Value
    by_question = matrix.mean(axis=0)
    seeds, questions = matrix.shape
    found = crossed(matrix)
    if not isinstance(found, Undefined):
        low, high = found.interval()
        low, high = max(0.0, low), min(1.0, high)
        kind = f"crossed, {seeds} seeds x {questions} questions"
    elif np.isin(by_question, (0, 1)).all():
        low, high = wilson_interval(int(by_question.sum()), questions)
        kind = f"Wilson over {questions} questions"
    else:
        low, high = bootstrap.mean_interval(by_question, bootstrap.generator("compare", key))
        kind = f"bootstrap over {questions} questions"
    return {"mean": float(matrix.mean()), "low": low, "high": high, "interval": kind}


def pooled_association(scores: RegimeScores, classes: NDArray[np.str_], key: str) -> Tree:
    """Return the association of trace and answer over all seeds.

    Counts are sums over seeds. The share of questions with both right has the interval of
    `estimate`. Shares of right answers given a right and a wrong trace, and their difference within
    seeds, and within seeds and classes, are over questions with all their seeds: these trained
    models on other questions (`statistics.clustered`). Tests of each seed are exact where
    chi-square does not hold.
    """
    trace, answer = scores.measures["trace"] == 1, scores.measures["answer"] == 1
    by_seed = {}
    for row, replicate in enumerate(scores.replicates):
        found = association(count(trace[row], answer[row]), "trace")
        by_seed[replicate.label] = {name: found[name] for name in _PER_SEED}
    return {
        **count(trace.ravel(), answer.ravel())._asdict(),
        "both_right": estimate((answer & trace).astype(np.float64), f"{key}/both"),
        "p_answer_if_right": share(answer, trace, "no trace is right"),
        "p_answer_if_wrong": share(answer, ~trace, "no trace is wrong"),
        "risk_difference": difference(trace, answer),
        "risk_difference_within_classes": difference(trace, answer, classes),
        "by_seed": by_seed,
    }
