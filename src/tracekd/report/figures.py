"""The figures of one experiment: DVC plots as CSV, and one overview as a picture.

The same input gives the same bytes: no dates, no paths, fixed fonts and sizes.
"""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracekd.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_RIGHT, _WRONG, _INK = "#2a9d8f", "#c9ccd1", "#22272e"
TRACE, ANSWER, QUIET = "#e76f51", "#2a9d8f", "#8b949e"
#: Of all pictures of this project: the same input gives the same bytes.
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "text.color": _INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
}
#: Of a title in an inch; of the widest letters fewer would fit.
_CHARACTERS = 8
_STEPS = (
    ("class", ("class", "accuracy")),
    ("facts, exact", ("facts", "exact")),
    ("facts, F1", ("facts", "f1")),
    ("whole trace", ("trace", "accuracy")),
    ("answer", ("answer", "accuracy")),
)


def load_libraries() -> None:
    """Load what figures and the statistics in them need, a second's work, before it is needed."""
    import matplotlib.figure  # noqa: F401
    import statsmodels.stats.proportion  # noqa: F401


def write_all(
    folder: Path,
    scores: pl.DataFrame,
    metrics: Mapping[str, Any],
    title: str,
    train_log: Path | None,
) -> None:
    """Write confusion.csv, accuracy_by_class.csv, steps.csv and overview.png into a folder.

    Args:
        folder: where to.
        scores: the table of scores.
        metrics: the content of metrics.json.
        title: what was run.
        train_log: folder of the training log; the loss curve is left out if it is absent.
    """
    write_csv(confusion(scores), folder / "confusion.csv")
    write_csv(accuracy_by_class(metrics), folder / "accuracy_by_class.csv")
    write_csv(steps(metrics), folder / "steps.csv")
    write_overview(folder / "overview.png", metrics, title, read_losses(train_log))


def read_losses(train_log: Path | None) -> pl.DataFrame | None:
    """Return training losses by step and part from DVCLive's log; None if there is no log."""
    if train_log is None:
        return None
    logs = {
        part: train_log / "plots/metrics/train" / f"loss_{part}.tsv" for part in ("trace", "answer")
    }
    tables = [
        pl.read_csv(log, separator="\t").select(
            pl.col("step"), pl.col(f"loss_{part}").cast(pl.Float64).alias(part)
        )
        for part, log in logs.items()
        if log.is_file()
    ]
    if not tables:
        return None
    joined = tables[0]
    for table in tables[1:]:
        joined = joined.join(table, on="step", how="full", coalesce=True).sort("step")
    return joined.select(
        "step", *(pl.col(p) if p in joined.columns else pl.lit(None).alias(p) for p in logs)
    )


def confusion(scores: pl.DataFrame) -> pl.DataFrame:
    """Return one row per question, trace and answer as words, for DVC's confusion plot.

    Empty if the regime teaches no step.
    """
    verdict = {True: "right", False: "wrong"}
    return scores.filter(pl.col("trace_correct").is_not_null()).select(
        pl.col(column).replace_strict(verdict, return_dtype=pl.String).alias(name)
        for name, column in (("trace", "trace_correct"), ("answer", "answer_correct"))
    )


def accuracy_by_class(metrics: Mapping[str, Any]) -> pl.DataFrame:
    """Return one row per class: questions, answer accuracy, whole-trace accuracy (or null)."""
    rows = [
        (name, group["n"], group["answer"]["accuracy"], _find(group, ("trace", "accuracy")))
        for name, group in metrics["by_class"].items()
    ]
    schema = {"class": pl.String, "n": pl.Int64, "answer": pl.Float64, "trace": pl.Float64}
    return pl.DataFrame(rows, schema=schema, orient="row")


def steps(metrics: Mapping[str, Any]) -> pl.DataFrame:
    """Return one row per step that the regime teaches, and the answer: its accuracy."""
    rows = [(name, _find(metrics, path)) for name, path in _STEPS]
    known = [row for row in rows if row[1] is not None]
    return pl.DataFrame(known, schema={"step": pl.String, "accuracy": pl.Float64}, orient="row")


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV, whole or not at all."""
    with atomic_file(path) as temporary:
        table.write_csv(temporary)


def write_overview(
    path: Path, metrics: Mapping[str, Any], title: str, losses: pl.DataFrame | None
) -> None:
    """Draw the experiment in one picture and write it as PNG.

    Args:
        path: where to.
        metrics: the content of metrics.json.
        title: what was run.
        losses: columns step, trace, answer (training loss of either part); None to leave out.
    """
    with picture(path, f"{title}  (n = {metrics['n']})", (10, 7.2)) as figure:
        axes = figure.subplots(2, 2).flatten()
        _draw_link(axes[0], metrics)
        _draw_steps(axes[1], steps(metrics))
        _draw_classes(axes[2], accuracy_by_class(metrics))
        _draw_losses(axes[3], losses)


@contextmanager
def picture(path: Path, title: str, size: tuple[float, float]) -> "Iterator[Figure]":
    """Yield a figure in the style of this project; write it as PNG if the block succeeds.

    Args:
        path: where to.
        title: stands above everything, in as many lines as it needs.
        size: width and height in inches.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        lines = textwrap.wrap(title, int(size[0] * _CHARACTERS), break_on_hyphens=False)
        figure.suptitle("\n".join(lines), x=0.01, ha="left", fontsize=12.5)
        yield figure
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


def _draw_link(axes: "Axes", metrics: Mapping[str, Any]) -> None:
    """Draw, for right and for wrong traces, how many answers are right."""
    axes.set_title("Is the answer right when the trace is?")
    link = _find(metrics, ("link", "trace"))
    if link is None:
        say(axes, "no step is taught: nothing to link")
        return
    for place, trace in enumerate(("right", "wrong")):
        right, wrong = link[f"{trace}_right"], link[f"{trace}_wrong"]
        axes.bar(place, right, color=_RIGHT, width=0.62, label="answer right" if not place else "")
        axes.bar(
            place,
            wrong,
            bottom=right,
            color=_WRONG,
            width=0.62,
            label="answer wrong" if not place else "",
        )
        share = link[f"p_answer_if_{trace}"]
        label = "none" if share is None else f"{100 * share:.1f} %\n{right} of {right + wrong}"
        axes.annotate(
            label, (place, right + wrong), (0, 4), textcoords="offset points", ha="center"
        )
    axes.set_xticks([0, 1], ["trace right", "trace wrong"])
    axes.set_ylabel("questions")
    axes.margins(x=0.25, y=0.38)
    axes.legend(frameon=False, loc="upper center", ncols=2)


def _draw_steps(axes: "Axes", table: pl.DataFrame) -> None:
    axes.set_title("How often is each step right?")
    names, values = table["step"].to_list(), table["accuracy"].to_list()
    colors = [ANSWER if name == "answer" else TRACE for name in names]
    bars = axes.barh(names, [100 * value for value in values], color=colors, height=0.6)
    axes.bar_label(bars, fmt="%.0f %%", padding=3)
    axes.invert_yaxis()
    percent_axis(axes)


def _draw_classes(axes: "Axes", table: pl.DataFrame) -> None:
    axes.set_title("By class: answer and whole trace")
    places = range(table.height)
    labels = [f"{name} ({n})" for name, n in table.select("class", "n").rows()]
    traced = table["trace"].null_count() < table.height
    width = 0.38 if traced else 0.6
    shift = width / 2 if traced else 0
    axes.barh(
        [place - shift for place in places],
        [100 * value for value in table["answer"]],
        height=width,
        color=ANSWER,
        label="answer",
    )
    if traced:
        axes.barh(
            [place + shift for place in places],
            [100 * (value or 0) for value in table["trace"]],
            height=width,
            color=TRACE,
            label="whole trace",
        )
    axes.set_yticks(places, labels)
    axes.invert_yaxis()
    axes.legend(frameon=False, fontsize=8.5)
    percent_axis(axes)


def _draw_losses(axes: "Axes", losses: pl.DataFrame | None) -> None:
    axes.set_title("Training loss")
    if losses is None or losses.is_empty():
        say(axes, "no training log beside this experiment")
        return
    for part, color in (("trace", TRACE), ("answer", ANSWER)):
        known = losses.drop_nulls(part)
        if not known.is_empty():
            axes.plot(
                known["step"], known[part], color=color, label=f"{part} tokens", linewidth=1.6
            )
    axes.set_yscale("log")
    axes.set_xlabel("optimizer step")
    axes.set_ylabel("cross-entropy per token")
    axes.legend(frameon=False)


def percent_axis(axes: "Axes") -> None:
    """Let the horizontal axis run from 0 to 100 %, with room for labels."""
    axes.set_xlim(0, 112)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("%")


def say(axes: "Axes", text: str) -> None:
    """Write a sentence where there is nothing to draw."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color="#6e7781")
    axes.set_axis_off()


def _find(tree: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree
