"""The figures of one regime: means over seeds with intervals, association of trace and answer."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekd.comparison.scores import Matrix, RegimeScores
from tracekd.statistics import bootstrap
from tracekd.statistics.association import association, count
from tracekd.statistics.crossed import crossed
from tracekd.statistics.intervals import newcombe_interval, t_interval, wilson_interval
from tracekd.statistics.stratified import pooled_risk_difference
from tracekd.statistics.values import Tree, Undefined, Value

_PER_SEED = ("phi", "chi_square", "p_value", "exact_test")


def regime_figures(scores: RegimeScores, classes: NDArray[np.str_], key: str) -> Tree:
    """Return the figures of a regime in one cell; `key` seeds the bootstrap."""
    answer = scores.measures["answer"]
    figures: dict[str, Any] = {"seeds": list(scores.seeds), "n": answer.shape[1]}
    for measure, matrix in scores.measures.items():
        figures[measure] = estimate(matrix, f"{key}/{measure}")
    if "trace" in scores.measures:
        figures["link"] = pooled_association(scores, classes)
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
    if not isinstance(found, Undefined) and found.error:
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


def pooled_association(scores: RegimeScores, classes: NDArray[np.str_]) -> Tree:
    """Return the association of trace and answer with all seeds pooled.

    Counts are sums over seeds. Intervals are Wilson's, and Newcombe's for the difference, with the
    number of questions that the counts are worth if all seeds of a question agree (Kish 1965); with
    one seed that is their plain number. With several seeds, the interval of a share is at least as
    wide as Student's across seeds. Tests are reported for each seed.
    """
    trace, answer = scores.measures["trace"] == 1, scores.measures["answer"] == 1
    counts = count(trace.ravel(), answer.ravel())
    strata = [
        count(trace[:, classes == name].ravel(), answer[:, classes == name].ravel())
        for name in np.unique(classes)
    ]
    compared = [stratum for stratum in strata if stratum.steps_right and stratum.steps_wrong]
    by_seed = {}
    for row, seed in enumerate(scores.seeds):
        found = association(count(trace[row], answer[row]), "trace")
        by_seed[str(seed)] = {name: found[name] for name in _PER_SEED}
    right = _share(answer, trace, "no trace is right")
    wrong = _share(answer, ~trace, "no trace is wrong")
    return {
        **counts._asdict(),
        "both_right": _share(answer & trace, np.ones_like(trace), "no question"),
        "p_answer_if_right": right,
        "p_answer_if_wrong": wrong,
        "risk_difference": _difference(right, wrong),
        "risk_difference_within_classes": pooled_risk_difference(compared),
        "by_seed": by_seed,
    }


def _share(verdicts: NDArray[np.bool_], among: NDArray[np.bool_], reason: str) -> Tree:
    """Return the share of right verdicts among some of (seeds, questions), with its interval."""
    times = among.sum(axis=0)
    if not times.any():
        fault = Undefined(reason)
        return {"value": fault, "low": fault, "high": fault}
    share = float((verdicts & among).sum() / times.sum())
    worth = float(times.sum() ** 2 / (times**2).sum())
    low, high = wilson_interval(share * worth, worth)
    by_seed = [float(row[on].mean()) for row, on in zip(verdicts, among, strict=True) if on.any()]
    if len(by_seed) > 1:  # other seeds are at least that uncertain
        seeds_low, seeds_high = t_interval(by_seed)
        low, high = min(low, seeds_low), max(high, seeds_high)
    return {"value": share, "low": low, "high": high}


def _difference(first: Tree, second: Tree) -> Tree:
    """Return first - second, with Newcombe's interval."""
    for share in (first, second):
        if isinstance(share["value"], Undefined):
            return share
    bounds = [(share["value"], share["low"], share["high"]) for share in (first, second)]
    low, high = newcombe_interval(bounds[0], bounds[1])
    return {"value": first["value"] - second["value"], "low": low, "high": high}
