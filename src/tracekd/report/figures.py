"""The figures of one experiment: tables for DVC's plots, and one overview as a picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracekd.report.style import (
    ANSWER,
    QUIET,
    TRACE,
    find,
    percent_axis,
    picture,
    say,
    write_csv,
)
from tracekd.report.summary import finding

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Details = Mapping[str, Any]

_STEPS = {
    "class": "class.accuracy",
    "facts, exact": "facts.exact",
    "facts, F1": "facts.f1",
    "trace exact match": "trace.accuracy",
    "answer": "answer.accuracy",
}
#: The loss curve is the running mean over this share of the logged steps.
_SMOOTHING = 0.05


def write_all(
    folder: Path, scores: pl.DataFrame, details: Details, run: str, losses: pl.DataFrame
) -> None:
    """Write confusion.csv, accuracy_by_class.csv, steps.csv and overview.png.

    `run` are the settings that distinguish this experiment, for the caption; `losses` are those of
    `contents.losses_of`.
    """
    write_csv(confusion(scores), folder / "confusion.csv")
    write_csv(accuracy_by_class(details), folder / "accuracy_by_class.csv")
    write_csv(steps(details), folder / "steps.csv")
    write_overview(folder / "overview.png", details, run, losses)


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


def write_overview(path: Path, details: Details, run: str, losses: pl.DataFrame) -> None:
    """Draw the experiment in one picture, its finding as the title."""
    caption = f"{run}; {details['n']} test questions; error bars: 95 % intervals over questions"
    with picture(path, finding(details), (10, 7.4), caption) as figure:
        axes = figure.subplots(2, 2).flatten()
        _draw_association(axes[0], details)
        _draw_steps(axes[1], steps(details))
        _draw_classes(axes[2], accuracy_by_class(details))
        _draw_losses(axes[3], losses)


def _draw_association(axes: "Axes", details: Details) -> None:
    axes.set_title("How often is the answer right?")
    link = find(details, "link.trace")
    if link is None:
        say(axes, "no step is taught, so there is no trace to compare")
        return
    for place, (trace, color) in enumerate((("right", ANSWER), ("wrong", QUIET))):
        right, n = link[f"{trace}_right"], link[f"{trace}_right"] + link[f"{trace}_wrong"]
        if not n:
            continue
        bounds = details["intervals"]["link"]["trace"][f"p_answer_if_{trace}"]
        share, low, high = (100 * x for x in (right / n, bounds["low"], bounds["high"]))
        axes.bar(place, share, color=color, width=0.55)
        axes.plot([place, place], [low, high], color="black", linewidth=1.5)
        label = f"{share:.0f} %\n{right} of {n}"
        axes.annotate(label, (place, high), (0, 4), textcoords="offset points", ha="center")
    axes.set_xticks([0, 1], ["given a right trace", "given a wrong trace"])
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylim(0, 122)
    axes.set_yticks([0, 25, 50, 75, 100])
    axes.set_ylabel("% of answers")


def _draw_steps(axes: "Axes", table: pl.DataFrame) -> None:
    axes.set_title("How often is each step right?")
    names = table["step"].to_list()
    colors = [ANSWER if name == "answer" else TRACE for name in names]
    bars = axes.barh(names, (100 * table["accuracy"]).to_list(), color=colors, height=0.6)
    axes.bar_label(bars, fmt="%.0f %%", padding=3)
    axes.invert_yaxis()
    percent_axis(axes)


def _draw_classes(axes: "Axes", table: pl.DataFrame) -> None:
    axes.set_title("By class")
    traced = table["trace"].null_count() < table.height
    series = {"answer": ("answer", ANSWER)}
    if traced:
        series["trace"] = ("trace exact match", TRACE)
    height = 0.76 / len(series)
    for order, (column, (label, color)) in enumerate(series.items()):
        shift = height * (order - (len(series) - 1) / 2)
        places = [place + shift for place in range(table.height)]
        values = (100 * table[column].fill_null(0)).to_list()
        axes.barh(places, values, height=height, color=color, label=label)
    labels = [f"{name} ({n})" for name, n in table.select("class", "n").rows()]
    axes.set_yticks(range(table.height), labels)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8.5)
    percent_axis(axes)


def _draw_losses(axes: "Axes", losses: pl.DataFrame) -> None:
    axes.set_title("Training loss")
    if losses.is_empty():
        say(axes, "this experiment has no training log")
        return
    for part, color in (("trace", TRACE), ("answer", ANSWER)):
        known = losses.select("step", loss=f"train_{part}").drop_nulls()
        if known.is_empty():
            continue
        window = max(1, round(_SMOOTHING * known.height))
        smooth = known["loss"].rolling_mean(window, min_samples=1, center=True)
        axes.plot(known["step"], known["loss"], color=color, alpha=0.25, linewidth=0.8)
        axes.plot(known["step"], smooth, color=color, label=f"{part} tokens", linewidth=1.8)
    axes.set_yscale("log")
    axes.set_xlabel("optimizer step (thick: running mean)")
    axes.set_ylabel("cross-entropy per token")
    axes.legend(frameon=False)
