"""The table of scores -> what the experiment measured: details.json, and of it metrics.json.

A pure function of the table: no times, no machine. A section about a step that the regime does not
teach is left out; a number that is undefined is null, with its reason under `undefined`.

metrics.json holds what `dvc metrics diff` should show on one screen:

n                        test questions
answer.accuracy          share of right answers; `low`, `high`: its 95 % interval
answer.*                 the main figures of the dataset's answer metric
class.accuracy           share of right classes
facts.exact, facts.f1    share of exactly right facts; mean F1
trace.accuracy           share of traces with every taught step right (trace exact match)
trace.states_answer      share of traces with facts that state the gold answer (leakage)
association.p_answer_if_right, p_answer_if_wrong
                         share of right answers given a right and a wrong trace
association.difference   the first minus the second; `low`, `high`: its 95 % interval
association.within_classes
                         the difference pooled within classes; `within_low`, `within_high`
output.failed, output.truncated, output.tokens
                         share not parsed; share cut at `infer.max_new_tokens`; mean completion
                         tokens
probes.gold, incorrect, empty
                         answer accuracy given these traces
"""

import operator
from collections.abc import Collection, Mapping
from functools import reduce
from typing import Any

import polars as pl

from tracekd.scoring.answers import metric
from tracekd.scoring.association import (
    STEPS,
    counts_of,
    intervals,
    leakage,
    step_association,
    taught_sections,
)
from tracekd.scoring.traces import Step
from tracekd.statistics.association import shares
from tracekd.statistics.values import Tree, Undefined, Value, ratio, settle

_EMPTY = "no question"
_WITHIN = "intervals.link.trace.risk_difference_within_classes"
#: Key in metrics.json -> path in details.json.
_MAIN = {
    "n": "n",
    "answer.accuracy": "answer.accuracy",
    "answer.low": "intervals.answer.accuracy.low",
    "answer.high": "intervals.answer.accuracy.high",
    "class.accuracy": "class.accuracy",
    "facts.exact": "facts.exact",
    "facts.f1": "facts.f1",
    "trace.accuracy": "trace.accuracy",
    "trace.states_answer": "leakage.states_answer",
    "association.p_answer_if_right": "link.trace.p_answer_if_right",
    "association.p_answer_if_wrong": "link.trace.p_answer_if_wrong",
    "association.difference": "link.trace.risk_difference",
    "association.low": "link.trace.risk_difference_low",
    "association.high": "link.trace.risk_difference_high",
    "association.within_classes": "link.trace.within_classes.risk_difference",
    "association.within_low": f"{_WITHIN}.low",
    "association.within_high": f"{_WITHIN}.high",
    "output.failed": "format.failed",
    "output.truncated": "format.truncated",
    "output.tokens": "cost.completion_tokens",
    "probes.gold": "probes.by_probe.gold.accuracy",
    "probes.incorrect": "probes.by_probe.incorrect.accuracy",
    "probes.empty": "probes.by_probe.empty.accuracy",
}


def report(
    scores: pl.DataFrame, answer_metric: str, steps: Collection[Step]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what was measured, and why each null in it is undefined (path -> reason).

    Args:
        scores: `records.SCORES` with the parts of the metric; at least one row.
        answer_metric: a module of `tracekd.scoring.answers`.
        steps: the steps that the regime teaches.
    """
    figures = group_figures(scores, answer_metric, steps)
    # BLEU is no mean over questions: only parts that are figures themselves get an interval.
    parts = [part for part in metric(answer_metric).parts if part in figures["answer"]]
    measured: dict[str, Any] = dict(figures)
    if steps:
        taught = taught_sections(steps)
        measured["link"] = {step: step_association(scores, step) for step in taught}
    if scores["answer_in_trace"].count():
        measured["leakage"] = leakage(scores, steps)
    measured["intervals"] = intervals(scores, parts, steps)
    classes = scores.sort("question_class").group_by("question_class", maintain_order=True)
    measured["by_class"] = {
        str(name): group_figures(rows, answer_metric, steps) for (name,), rows in classes
    }
    return settle(measured)


def headline(details: Mapping[str, Any], answer_metric: str) -> dict[str, Any]:
    """Return the content of metrics.json, given that of details.json."""
    shown = _MAIN | {f"answer.{name}": f"answer.{name}" for name in metric(answer_metric).main}
    main: dict[str, Any] = {}
    for key, path in shown.items():
        try:
            value = reduce(operator.getitem, path.split("."), details)
        except KeyError:  # the step is not taught, or probes are off
            continue
        section, _, name = key.rpartition(".")
        (main.setdefault(section, {}) if section else main)[name] = value
    return main


def group_figures(
    scores: pl.DataFrame, answer_metric: str, steps: Collection[Step]
) -> dict[str, Any]:
    """Return the figures of a group of questions that are reported overall and by class."""
    taught = taught_sections(steps)
    associations = {step: shares(counts_of(scores, STEPS[step]), step) for step in taught}
    return {
        "n": scores.height,
        "answer": _answer(scores, answer_metric),
        **{step: _step(scores, step) for step in taught},
        **({"link": associations} if taught else {}),
        "format": _format(scores),
        "cost": _cost(scores),
    }


def _answer(scores: pl.DataFrame, answer_metric: str) -> Tree:
    figures = metric(answer_metric).summarise(scores)
    undefined = Undefined("no question of the group has a gold answer")
    return {
        "accuracy": _share(scores["answer_correct"]),
        **{name: undefined if value is None else value for name, value in figures.items()},
    }


def _step(scores: pl.DataFrame, step: str) -> Tree:
    if step != "facts":
        return {"accuracy": _share(scores[STEPS[step]])}
    means = scores.select(
        pl.col("facts_precision", "facts_recall", "facts_f1").mean(),
        pl.col("facts_lenient", "facts_unmatched").sum(),
    ).row(0, named=True)
    shorter = {name.removeprefix("facts_"): value for name, value in means.items()}
    return {"exact": _share(scores["facts_exact"]), **shorter}


def _format(scores: pl.DataFrame) -> Tree:
    status, reason = scores["parse_status"], scores["finish_reason"]
    return {
        **{form: _share(status == form) for form in ("strict", "lenient", "failed")},
        "truncated": _share(reason == "length"),
        "prompt_too_long": _share(reason == "prompt_too_long"),
    }


def _cost(scores: pl.DataFrame) -> Tree:
    tokens, trace = float(scores["completion_tokens"].sum()), float(scores["trace_tokens"].sum())
    return {
        "completion_tokens": ratio(tokens, scores.height, _EMPTY),
        "trace_tokens": ratio(trace, scores.height, _EMPTY),
        "answer_tokens": ratio(tokens - trace, scores.height, _EMPTY),
    }


def _share(verdicts: pl.Series) -> Value:
    return ratio(int(verdicts.sum()), len(verdicts), _EMPTY)
