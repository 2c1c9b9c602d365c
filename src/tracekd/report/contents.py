"""What a page shows of one experiment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import polars as pl


@dataclass(frozen=True)
class Contents:
    """The outs of one experiment, as its stages wrote them.

    Attributes:
        name: DVC's name of the experiment, "workspace" or "commit 1a2b3c4"; how links address it.
        params: dotted key -> value, e.g. {"trace_mode": "correct", "train.method": "lora"}.
        details: content of metrics/details.json.
        card: content of metrics/run.json: times, memory and machine of each stage.
        losses: the log of training, by column of plots/train, with a column `step`; may be empty.
        questions: `records.DECOMPOSED`, the test questions.
        scores: `records.SCORES` and the parts of the answer metric.
        predictions: `records.PREDICTIONS`, sample 0 alone.
        probes: `records.PROBES`; no rows if probes are off.
    """

    name: str
    params: Mapping[str, Any]
    details: Mapping[str, Any]
    card: Mapping[str, Any]
    losses: pl.DataFrame
    questions: pl.DataFrame
    scores: pl.DataFrame
    predictions: pl.DataFrame
    probes: pl.DataFrame
