"""The tables of one experiment -> its table of scores, and the content of details.json."""

from collections.abc import Mapping
from functools import partial
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec, Params
from tracekd.probing import verdicts
from tracekd.scoring import metrics, quality, samples, table
from tracekd.scoring.floors import floors
from tracekd.traces.regimes import regime, steps_shown


def scores_and_details(
    tables: Mapping[str, pl.DataFrame], settings: Params, spec: DatasetSpec
) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Return the table of scores, `records.SCORES` with the metric's parts, and all figures.

    `tables` are "questions" (test) and "training", `records.DECOMPOSED`; "predictions" and "probes"
    of `records`; "teacher", `traces.taught.TEACHER`.
    """
    questions, training = tables["questions"], tables["training"]
    predictions = tables["predictions"].filter(sample=0)
    steps = steps_shown(settings)
    score = partial(
        table.score,
        questions,
        spec=spec,
        steps=steps,
        untagged=settings.train.untuned,
        free_text=regime(settings.trace_mode).free_text,
    )
    scores = score(predictions)
    found, undefined = metrics.report(scores, spec.answer_metric, steps)
    effects, no_effect = verdicts.report(tables["probes"], predictions, questions, spec)
    judge = quality.TextJudge([questions, training], spec)
    written, no_quality = quality.report(
        questions, predictions, scores, judge, untagged=settings.train.untuned
    )
    return scores, {
        **found,
        **samples.report(tables["predictions"], score, steps, spec.answers),
        **effects,
        **written,
        **quality.selection(scores, tables["teacher"]),
        "floors": floors(questions, training, spec),
        "undefined": undefined | no_effect | no_quality,
    }
