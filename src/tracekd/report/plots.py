"""The tables of one experiment that DVC plots and compares."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tracekd.probing.plans import PROBES
from tracekd.report.style import find, write_csv

Details = Mapping[str, Any]

_STEPS = {
    "class": "class.accuracy",
    "facts, exact": "facts.exact",
    "facts, F1": "facts.f1",
    "trace exact match": "trace.accuracy",
    "answer": "answer.accuracy",
}


def write_all(folder: Path, scores: pl.DataFrame, details: Details) -> None:
    """Write confusion.csv, accuracy_by_class.csv, steps.csv and probes/probes.csv."""
    write_csv(confusion(scores), folder / "confusion.csv")
    write_csv(accuracy_by_class(details), folder / "accuracy_by_class.csv")
    write_csv(steps(details), folder / "steps.csv")
    write_csv(probes(details), folder / "probes/probes.csv")


def confusion(scores: pl.DataFrame) -> pl.DataFrame:
    """Return one row per question, trace and answer as words, for DVC's confusion plot.

    Empty if the regime teaches no step.
    """
    verdict = {True: "right", False: "wrong"}
    return scores.filter(pl.col("trace_correct").is_not_null()).select(
        pl.col(column).replace_strict(verdict, return_dtype=pl.String).alias(name)
        for name, column in (("trace", "trace_correct"), ("answer", "answer_correct"))
    )


def accuracy_by_class(details: Details) -> pl.DataFrame:
    """Return one row per class: questions, answer accuracy, trace exact match (or null)."""
    rows = [
        (name, group["n"], group["answer"]["accuracy"], find(group, "trace.accuracy"))
        for name, group in details["by_class"].items()
    ]
    schema = {"class": pl.String, "n": pl.Int64, "answer": pl.Float64, "trace": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def steps(details: Details) -> pl.DataFrame:
    """Return one row for each step that the regime teaches, and one for the answer."""
    rows = [(name, find(details, path)) for name, path in _STEPS.items()]
    known = [row for row in rows if row[1] is not None]
    return pl.DataFrame(known, schema={"step": pl.String, "accuracy": pl.Float64}, orient="row")


def probes(details: Details) -> pl.DataFrame:
    """Return one row per probe that was run, in the order of `PROBES`; none if probes were off."""
    columns = {"n": pl.Int64} | dict.fromkeys(
        ("accuracy", "accuracy_low", "accuracy_high", "gold_logprob"), pl.Float64
    )
    found = find(details, "probes.by_probe") or {}
    rows = [
        (name, *(found[name][column] for column in columns))
        for name in PROBES
        if name in found and found[name]["n"]
    ]
    return pl.DataFrame(rows, schema={"probe": pl.String, **columns}, orient="row")
