"""Ratings beside the accuracy of students: tables and a figure."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracekd.comparison.cells import arrange
from tracekd.comparison.estimates import estimate
from tracekd.comparison.experiments import collect
from tracekd.comparison.markdown import number, p_value, table, with_interval
from tracekd.comparison.scores import load_scores
from tracekd.comparison.store import find_store
from tracekd.files import atomic_file, write_json
from tracekd.rating.analysis import analyse
from tracekd.rating.exports import NOTES
from tracekd.report.style import picture, write_csv
from tracekd.statistics.values import settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MEANS = """## Means by trace type

Mean rating from 1 to {points} with its 95 % interval, clustered by rater and by question. alpha:
Krippendorff's, of ordinal ratings of the same trace."""
_DIFFERENCES = """## Differences from {types[0]}

By a mixed model with raters and questions as random effects, with p; clustered: the difference of
the means, clustered by rater and by question, which does not assume that types differ equally for
all raters and on all questions. The last three columns are the model's variances."""
_ACCURACY = """## Ratings and accuracy

Accuracy in percent, with its 95 % interval, of students trained on traces of a type, beside the
mean ratings of such traces."""
_ACROSS = 3  # panels of the figure


def write(
    root: Path,
    ratings: pl.DataFrame,
    notes: Mapping[str, Mapping[str, str]],
    key: Mapping[str, Any],
) -> str:
    """Write ratings.{json,md,csv,png} into metrics and plots; return the text of ratings.md.

    `ratings` and `notes` are what `read_exports` returns with the page's `key`.
    """
    settings = key["settings"]
    items = [one["name"] for one in settings["items"]]
    fitting = [
        one
        for one in collect(root).experiments
        if one.run.dataset == key["dataset"]
        and one.run.regime.label in settings["types"]
        and one.run.params.get("train.method") != "none"  # untuned
    ]
    loaded = load_scores(arrange(fitting), find_store(root))
    report, undefined = settle(
        {
            "plan": key["checksum"],
            "raters": ratings["rater"].n_unique(),
            "traces": ratings.select("rater", "trace").n_unique(),
            "files": notes,
            "experiments_not_used": loaded.unusable,
            "items": analyse(ratings, items, settings["types"]),
            "accuracy": {
                cell.label: {
                    regime.label: estimate(one.measures["answer"], f"{cell.label}/{regime.label}")
                    for regime, one in scores.regimes.items()
                }
                for cell, scores in loaded.cells.items()
            },
        }
    )
    text = to_markdown(report, settings)
    write_json(root / "metrics/ratings.json", {**report, "undefined": undefined})
    write_csv(ratings, root / "metrics/ratings.csv")
    with atomic_file(root / "metrics/ratings.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    draw(root / "plots/ratings.png", report, settings["points"])
    return text


def to_markdown(report: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    """Return the content of ratings.json (null where undefined) as Markdown."""
    items, types = report["items"], settings["types"]
    lines = ["# Ratings", f"{report['raters']} raters, {report['traces']} ratings of traces."]
    for note, files in report["files"].items():
        named = "\n".join(f"- {name}: {found}" for name, found in files.items())
        lines.append(f"{len(files)} {note} ({NOTES[note]}):\n\n{named}")
    means = [
        [name, *(_rating(one["types"][kind]) for kind in types), number(one["alpha"], ".2f")]
        for name, one in items.items()
    ]
    differences = [
        [name, kind, _rating(found), p_value(found["p_value"]), _rating(of["clustered"])]
        + [number(value, ".2f") for value in one["variance"].values()]
        for name, one in items.items()
        for kind, of in one["types"].items()
        if (found := of.get("difference"))
    ]
    students = [
        [cell, kind, with_interval(found)]
        + [number(one["types"][kind].get("mean"), ".2f") for one in items.values()]
        for cell, of_types in report["accuracy"].items()
        for kind, found in of_types.items()
    ]
    tested = ["difference", "p", "clustered", "raters", "questions", "rest"]
    for text, header, rows in (
        (_MEANS, ["item", *types, "alpha"], means),
        (_DIFFERENCES, ["item", "type", *tested], differences),
        (_ACCURACY, ["students", "type", "accuracy", *items], students),
    ):
        lines += [text.format(**settings), table(header, rows) if rows else "There are none."]
    lines += [f"Not used: {name}: {why}" for name, why in report["experiments_not_used"].items()]
    return "\n\n".join(lines) + "\n"


def draw(path: Path, report: Mapping[str, Any], points: int) -> None:
    """Draw accuracy against mean rating: a panel for each item, a colour for each cell."""
    items = report["items"]
    lines = -(-len(items) // _ACROSS)
    title = "Do traces that people rate higher make better students?"
    with picture(path, title, (10, 1.2 + 3 * lines), "95 % intervals") as figure:
        panels = list(figure.subplots(lines, _ACROSS, squeeze=False).flat)
        for axes in panels[len(items) :]:
            axes.set_axis_off()
        for axes, (name, one) in zip(panels, items.items(), strict=False):
            axes.set(title=name, xlim=(1, points), ylim=(0, 100), xlabel="mean rating")
            axes.set_ylabel("accuracy, %")
            for place, (cell, students) in enumerate(report["accuracy"].items()):
                axes.plot([], [], "o", color=f"C{place}", label=cell)
                for kind, found in students.items():
                    if one["types"][kind]["n"]:
                        _mark(axes, one["types"][kind], found, f"C{place}", kind)
        if report["accuracy"]:
            panels[0].legend(frameon=False, fontsize="small")


def _mark(
    axes: "Axes", rated: Mapping[str, Any], found: Mapping[str, Any], color: str, label: str
) -> None:
    x, y = rated["mean"], 100 * found["mean"]
    axes.plot(x, y, "o", color=color)
    axes.annotate(label, (x, y), xytext=(5, 5), textcoords="offset points", fontsize="small")
    axes.plot([x, x], [100 * found["low"], 100 * found["high"]], color=color, alpha=0.55)
    if rated["low"] is not None:
        axes.plot([rated["low"], rated["high"]], [y, y], color=color, alpha=0.55)


def _rating(found: Mapping[str, Any]) -> str:
    """Return "3.41 (3.20 to 3.62)", or of an undefined interval the mean alone."""
    mean, low, high = (number(found.get(name), ".2f") for name in ("mean", "low", "high"))
    return mean if found.get("low") is None else f"{mean} ({low} to {high})"
