"""The table of scores -> metrics.json, and by class classes.json: what the experiment shows.

A pure function of the table: no times, no machine. A section about a step that the regime does not
teach is left out; a number that is undefined is null, with its reason in notes.json.
"""

from typing import Any

import polars as pl

from tracekd.scoring import association as instrument
from tracekd.scoring.answers import metric
from tracekd.scoring.association import STEPS, taught_steps
from tracekd.statistics.values import Tree, Undefined, Value, ratio, settle

_EMPTY = "no question"


def report(scores: pl.DataFrame, answer_metric: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return what was measured, and why each null in it is undefined (path -> reason).

    Args:
        scores: `records.SCORES` with the parts of the metric; at least one row. The columns
            `tracekd.scoring.table.SAID` may be missing.
        answer_metric: a name in `tracekd.scoring.answers.METRICS`.
    """
    figures = group_figures(scores, answer_metric)
    # BLEU is no mean over questions: only parts that are figures themselves get an interval.
    parts = tuple(part for part in metric(answer_metric).parts if part in figures["answer"])
    taught = taught_steps(scores)
    links = {"link": {step: instrument.link(scores, step) for step in taught}} if taught else {}
    quoted = scores["answer_in_trace"].count() > 0
    by_class = {
        str(name): group_figures(rows, answer_metric)
        for (name,), rows in scores.sort("question_class").group_by(
            "question_class", maintain_order=True
        )
    }
    return settle(
        {
            **figures,
            **links,
            **({"leakage": instrument.leakage(scores)} if quoted else {}),
            "intervals": instrument.intervals(scores, parts),
            "by_class": by_class,
        }
    )


def apart(measured: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what metrics.json holds, and what classes.json holds: class -> its figures.

    `dvc metrics diff` shows every number of metrics.json, and those of classes are most of them.

    Args:
        measured: of `report`, with the section `probes` if there is one.
    """
    classes: dict[str, Any] = {name: dict(group) for name, group in measured["by_class"].items()}
    overall = {name: section for name, section in measured.items() if name != "by_class"}
    if "probes" in overall:
        probes = dict(overall["probes"])
        for name, group in probes.pop("by_class").items():
            classes[name]["probes"] = group
        overall["probes"] = probes
    return overall, classes


def group_figures(scores: pl.DataFrame, answer_metric: str) -> dict[str, Any]:
    """Return the figures of a group of questions that are told overall and by class."""
    taught = taught_steps(scores)
    links = {step: instrument.short_link(scores, step) for step in taught}
    return {
        "n": scores.height,
        "answer": _answer(scores, answer_metric),
        **{step: _step(scores, step) for step in taught},
        **({"link": links} if taught else {}),
        "format": _format(scores),
        "cost": _cost(scores),
    }


def _answer(scores: pl.DataFrame, answer_metric: str) -> Tree:
    chosen = metric(answer_metric)
    parts = chosen.figures(scores, chosen.parts)
    undefined = Undefined("no question of the group has a gold answer")
    return {
        "accuracy": _share(scores["answer_correct"]),
        **{name: undefined if value is None else value for name, value in parts.items()},
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
