"""Ratings beside the accuracy of students: ratings.json, ratings.md, ratings.csv and a figure."""

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
from tracekd.report.style import ANSWER, NONE, QUIET, TRACE, picture, write_csv
from tracekd.statistics.values import Tree, settle

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Of cells in the figure, and what the caption calls them.
_COLORS = {"blue": ANSWER, "orange": TRACE, "grey": QUIET}
#: Panels beside each other.
_ACROSS = 3
_MEANS = """## Means by trace type

Mean rating from 1 to {points} with its 95 % interval, clustered by rater and by question. alpha:
Krippendorff's, of ordinal ratings of the same trace."""
_DIFFERENCES = """## Differences from {first}

By a mixed model with raters and questions as random effects, with p; clustered: the difference of
the means, clustered by rater and by question, which does not assume that types differ equally for
all raters and on all questions. The last three columns are the model's variances."""
_ACCURACY = """## Ratings and accuracy

Accuracy in percent, with its 95 % interval, of students trained on traces of each type, beside the
mean ratings of such traces."""


def accuracies(
    root: Path, dataset: str, types: list[str]
) -> tuple[dict[str, Tree], dict[str, str]]:
    """Return accuracy by cell (see `comparison.cells`) and type, and experiments not used."""
    fitting = [
        one
        for one in collect(root).experiments
        if one.run.dataset == dataset and one.run.regime.label in types
    ]
    loaded = load_scores(arrange(fitting), find_store(root))
    found = {
        cell.label: {
            regime.label: estimate(one.measures["answer"], f"{cell.label}/{regime.label}/answer")
            for regime, one in scores.regimes.items()
        }
        for cell, scores in loaded.cells.items()
    }
    return found, loaded.unusable


def write(
    root: Path,
    ratings: pl.DataFrame,
    notes: Mapping[str, Mapping[str, str]],
    key: Mapping[str, Any],
) -> str:
    """Write everything; return the text of ratings.md, given what `read_exports` returns."""
    settings = key["settings"]
    students, unusable = accuracies(root, key["dataset"], settings["types"])
    items = [item["name"] for item in settings["items"]]
    report, undefined = settle(
        {
            "plan": key["checksum"],
            "dataset": key["dataset"],
            "raters": ratings["rater"].n_unique(),
            "traces": ratings.select("rater", "trace").n_unique(),
            "files": notes,
            "experiments_not_used": unusable,
            "items": analyse(ratings, items, settings["types"]),
            "accuracy": students,
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
    rows = [
        [name, *(_rating(one["types"][kind]) for kind in types), number(one["alpha"], ".2f")]
        for name, one in items.items()
    ]
    lines += [_MEANS.format(points=settings["points"]), table(["item", *types, "alpha"], rows)]
    rows = []
    for name, one in items.items():
        variances = [number(value, ".2f") for value in one["variance"].values()]
        for kind in types[1:]:
            if found := one["types"][kind].get("difference"):
                plain = _rating(one["types"][kind]["clustered"])
                shown = [_rating(found), p_value(found["p_value"]), plain]
                rows.append([name, kind, *shown, *variances])
    header = ["item", "type", "difference", "p", "clustered", "raters", "questions", "rest"]
    lines += [_DIFFERENCES.format(first=types[0]), table(header, rows)]
    rows = [
        [cell, kind, with_interval(students[kind]), *means]
        for cell, students in report["accuracy"].items()
        for kind in types
        if kind in students
        for means in [[number(one["types"][kind].get("mean"), ".2f") for one in items.values()]]
    ]
    none = "No student of this repository was trained on traces of these types."
    lines += [_ACCURACY, table(["students", "type", "accuracy", *items], rows) if rows else none]
    for name, why in report["experiments_not_used"].items():
        lines.append(f"Not used: {name}: {why}")
    return "\n\n".join(lines) + "\n"


def draw(path: Path, report: Mapping[str, Any], points: int) -> None:
    """Draw accuracy against mean rating: a panel for each item, a colour for each cell."""
    items, cells = report["items"], report["accuracy"]
    lines = -(-len(items) // _ACROSS)
    title = "Do traces that people rate higher make better students?"
    caption = "; ".join(f"{name}: {cell}" for name, cell in zip(_COLORS, cells, strict=False))
    with picture(path, title, (10, 1.2 + 3 * lines), f"95 % intervals. {caption}") as figure:
        panels = figure.subplots(lines, _ACROSS, squeeze=False).flat
        for axes in panels[len(items) :]:
            axes.set_axis_off()
        for axes, (name, one) in zip(panels, items.items(), strict=False):
            axes.set(title=name, xlim=(1, points), ylim=(0, 100), xlabel="mean rating")
            axes.set_ylabel("accuracy, %")
            for color, students in zip(_COLORS.values(), cells.values(), strict=False):
                for kind, found in students.items():
                    _draw_type(axes, one["types"][kind], found, color, kind)


def _draw_type(axes: "Axes", rated: Tree, found: Tree, color: str, label: str) -> None:
    if not rated["n"]:
        return
    at = rated["mean"], 100 * found["mean"]
    axes.plot(*at, "o", color=color)
    axes.annotate(label, at, xytext=(5, 5), textcoords="offset points", fontsize="small")
    if rated["low"] is not None:
        axes.plot([rated["low"], rated["high"]], [at[1]] * 2, color=color, alpha=0.55)
    axes.plot([at[0]] * 2, [100 * found["low"], 100 * found["high"]], color=color, alpha=0.55)


def _rating(found: Mapping[str, Any]) -> str:
    """Return "3.41 (3.20 to 3.62)"."""
    shown = [number(found.get(name), ".2f") for name in ("mean", "low", "high")]
    return shown[0] if NONE in shown else "{} ({} to {})".format(*shown)
