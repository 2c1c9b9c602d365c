"""What a page shows of one experiment."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec, Params
from tracekd.config.reading import leaves
from tracekd.files import read_json


@dataclass(frozen=True)
class Contents:
    """The outs of one experiment, as its stages wrote them.

    Attributes:
        name: DVC's name of the experiment, "workspace" or "commit 1a2b3c4"; how links address it.
        params: dotted key -> value, e.g. {"trace_mode": "correct", "train.method": "lora"}.
        details: content of metrics/details.json.
        card: content of metrics/run.json: times, memory and machine of each stage.
        losses: see `losses_of`; no rows if there was no training.
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


#: What of an entry of datasets.yaml decides how answers and traces are read.
_READ = ("reader", "answer_metric", "answers", "class_sentence")


def dataset_of(params: Mapping[str, Any]) -> DatasetSpec:
    """Return the entry of datasets.yaml that an experiment used, as far as it decides verdicts."""
    name = params["dataset"]
    entry = {key: params.get(f"datasets.yaml:{name}.{key}") for key in _READ}
    known = {key: value for key, value in entry.items() if value is not None}
    return DatasetSpec.model_validate({"reader": "jsonl", **known, "name": name})


def losses_of(files: Mapping[str, Path]) -> pl.DataFrame:
    """Return the losses that training logged, by step.

    Args:
        files: path relative to plots/train -> the file, in the workspace or in DVC's cache.

    Returns:
        `step`, `train`, `train_trace`, `train_answer` and the same of `validation`, in nats per
        token; null where nothing was logged.
    """
    logs = []
    for split, part in product(("train", "validation"), ("", "_trace", "_answer")):
        schema = pl.Schema({"step": pl.Int64(), f"loss{part}": pl.Float64()})
        log = pl.DataFrame(schema=schema)
        if path := files.get(f"plots/metrics/{split}/loss{part}.tsv"):
            log = pl.read_csv(path, separator="\t").select(*schema).cast(schema)
        logs.append(log.rename({f"loss{part}": f"{split}{part}"}))
    return pl.concat(logs, how="align_full").sort("step")


def of_workspace(
    name: str,
    settings: Params,
    spec: DatasetSpec,
    tables: Mapping[str, pl.DataFrame],
    scores: pl.DataFrame,
    details: Mapping[str, Any],
) -> Contents:
    """Return the contents of the experiment that analyze has just scored.

    `tables` are those of `details.scores_and_details`; card and log are read from metrics/ and
    plots/train.
    """
    entry = spec.model_dump(include=set(_READ))
    params = dict(leaves(settings.model_dump()))
    params |= {f"datasets.yaml:{spec.name}.{key}": value for key, value in entry.items()}
    log = Path("plots/train")
    logs = {path.relative_to(log).as_posix(): path for path in log.rglob("*.tsv")}
    return Contents(
        name=name,
        params=params,
        details=details,
        card=read_json(Path("metrics/run.json")),
        losses=losses_of(logs),
        questions=tables["questions"],
        scores=scores,
        predictions=tables["predictions"].filter(sample=0),
        probes=tables["probes"],
    )
