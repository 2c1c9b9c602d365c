"""The table of scores -> what the experiment measured, the content of details.json.

A pure function of the table: no times, no machine. A section about a step that the regime does not
teach is left out; a number that is undefined is null, with its reason under `undefined`.
"""

from collections.abc import Collection
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
from tracekd.statistics.association import shares
from tracekd.statistics.values import Undefined, settle
from tracekd.traces.regimes import Step


def report(
    scores: pl.DataFrame, answer_metric: str, steps: Collection[Step]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what was measured, and why each null in it is undefined (path -> reason).

    `scores` is `records.SCORES` with the metric's parts, at least one row; `steps` are those that
    the regime teaches.
    """
    measured = group_figures(scores, answer_metric, steps)
    # BLEU is no mean over questions: only parts that are figures themselves get an interval.
    parts = [part for part in metric(answer_metric).parts if part in measured["answer"]]
    if taught := taught_sections(steps):
        measured["link"] = {step: step_association(scores, step) for step in taught}
    if scores["answer_in_trace"].count():
        measured["leakage"] = leakage(scores, steps)
    measured["intervals"] = intervals(scores, parts, steps)
    classes = scores.sort("question_class").group_by("question_class", maintain_order=True)
    measured["by_class"] = {
        str(name): group_figures(rows, answer_metric, steps) for (name,), rows in classes
    }
    for (leaked,), rows in sorted(scores.drop_nulls("leaked").group_by("leaked")):
        group = measured.setdefault("by_leaked", {})
        group["leaked" if leaked else "not_leaked"] = group_figures(rows, answer_metric, steps)
    return settle(measured)


def group_figures(
    scores: pl.DataFrame, answer_metric: str, steps: Collection[Step]
) -> dict[str, Any]:
    """Return the figures of a group of questions (at least one), overall or of a class."""
    taught = taught_sections(steps)
    undefined = Undefined("no question of the group has a gold answer")
    answer = metric(answer_metric).summarise(scores)
    figures: dict[str, Any] = {
        "n": scores.height,
        "answer": {
            "accuracy": scores["answer_correct"].mean(),
            **{name: undefined if value is None else value for name, value in answer.items()},
        },
        **{step: {"accuracy": scores[STEPS[step]].mean()} for step in taught},
    }
    if "facts" in taught:
        means = {name: scores[f"facts_{name}"].mean() for name in ("precision", "recall", "f1")}
        sums = {name: scores[f"facts_{name}"].sum() for name in ("lenient", "unmatched")}
        figures["facts"] = {"exact": scores["facts_exact"].mean(), **means, **sums}
    if taught:
        figures["link"] = {step: shares(counts_of(scores, STEPS[step]), step) for step in taught}
    status, reason = scores["parse_status"], scores["finish_reason"]
    tokens, trace = scores.select(pl.col("completion_tokens", "trace_tokens").mean()).row(0)
    return figures | {
        "format": {
            **{form: (status == form).mean() for form in ("strict", "lenient", "failed")},
            "truncated": (reason == "length").mean(),
            "prompt_too_long": (reason == "prompt_too_long").mean(),
        },
        "cost": {
            "completion_tokens": tokens,
            "trace_tokens": trace,
            "answer_tokens": tokens - trace,
        },
    }
