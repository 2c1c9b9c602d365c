"""The table of scores -> metrics.json: what the experiment shows, overall and by class.

A pure function of the table: no times, no machine. A section about a step that the regime does not
teach is left out; a number that is undefined is null, with its reason in notes.json.
"""

from typing import Any

import polars as pl

from tracekd.scoring.answers import metric
from tracekd.statistics.values import Tree, Undefined, Value, ratio, settle

#: Section -> column with its verdict. The order is that of the summary and the plots.
STEPS = {"class": "class_correct", "facts": "facts_exact", "trace": "trace_correct"}

_EMPTY = "no question"


def report(scores: pl.DataFrame, answer_metric: str) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the content of metrics.json, and why each null in it is undefined (path -> reason).

    Args:
        scores: `records.SCORES` with the parts of the metric; at least one row.
        answer_metric: a name in `tracekd.scoring.answers.METRICS`.
    """
    by_class = {
        str(name): figures(rows, answer_metric)
        for (name,), rows in scores.sort("question_class").group_by(
            "question_class", maintain_order=True
        )
    }
    return settle({**figures(scores, answer_metric), "by_class": by_class})


def figures(scores: pl.DataFrame, answer_metric: str) -> dict[str, Any]:
    """Return all figures of a group of questions."""
    taught = [step for step, column in STEPS.items() if scores[column].null_count() == 0]
    return {
        "n": scores.height,
        "answer": _answer(scores, answer_metric),
        **{step: _step(scores, step) for step in taught},
        **({"link": {step: link(scores, STEPS[step]) for step in taught}} if taught else {}),
        "format": _format(scores),
        "cost": _cost(scores),
    }


def link(scores: pl.DataFrame, column: str) -> Tree:
    """Return the 2x2 of a step with the answer, and P(answer right) given each verdict."""
    step, answer = scores[column], scores["answer_correct"]
    both, step_only = int((step & answer).sum()), int((step & ~answer).sum())
    answer_only, neither = int((~step & answer).sum()), int((~step & ~answer).sum())
    name = column.removesuffix("_correct").removesuffix("_exact")
    return {
        "right_right": both,
        "right_wrong": step_only,
        "wrong_right": answer_only,
        "wrong_wrong": neither,
        "p_answer_if_right": ratio(both, both + step_only, f"no {name} step is right"),
        "p_answer_if_wrong": ratio(answer_only, answer_only + neither, f"no {name} step is wrong"),
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
    forms = {
        form: _share(scores["parse_status"] == form) for form in ("strict", "lenient", "failed")
    }
    return {
        **forms,
        "truncated": _share(scores["finish_reason"] == "length"),
        "prompt_too_long": _share(scores["finish_reason"] == "prompt_too_long"),
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
