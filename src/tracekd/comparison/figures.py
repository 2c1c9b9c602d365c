"""Pictures of all experiments: regimes side by side, paired differences, the link by regime.

The same input gives the same bytes: no dates, no paths, fixed fonts and sizes.
"""

import textwrap
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.comparison.headings import headings
from tracekd.files import atomic_file
from tracekd.report.figures import ANSWER, QUIET, STYLE, TRACE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Characters of a heading's line: what fits beside the longest name of a row.
_LINE = 72
#: Height of a further line of a heading, in rows.
_FURTHER = 0.6
#: Where in its row each of one or two estimates is drawn.
_SHIFTS = {1: (0.0,), 2: (-0.14, 0.14)}
#: A label on the left and, by name, estimates to draw in its row; None where there is nothing.
Row = tuple[str, Mapping[str, Mapping[str, Any]]]


def write_all(folder: Path, results: Mapping[str, Any]) -> list[Path]:
    """Write compare_regimes.png, compare_effects.png and compare_link.png; return their paths.

    Args:
        folder: where to.
        results: section `results` of compare.json.
    """
    import matplotlib as mpl

    paths = [folder / name for name in DRAWINGS]
    with mpl.rc_context(STYLE):
        for path, draw in zip(paths, DRAWINGS.values(), strict=True):
            with atomic_file(path) as temporary:
                picture(draw, results).savefig(temporary, format="png", metadata={"Software": None})
    return paths


def picture(
    draw: Callable[["Axes", Mapping[str, Any]], float], results: Mapping[str, Any]
) -> "Figure":
    """Return one picture, as high as its rows need.

    Args:
        draw: of `DRAWINGS`: draws results and returns how many rows they took.
        results: section `results` of compare.json.
    """
    from matplotlib.figure import Figure

    named = headings(results)
    figure = Figure(figsize=(9, 3), dpi=150, layout="constrained")
    rows = draw(figure.subplots(), {named[label]: one for label, one in results.items()})
    figure.set_size_inches(9, 1.6 + 0.27 * rows)
    return figure


def _draw_regimes(axes: "Axes", results: Mapping[str, Any]) -> float:
    axes.set_title("How often is the answer right, and how often the trace?")
    blocks = {
        label: [
            (regime, {name: figures[name] for name in ("answer", "trace") if name in figures})
            for regime, figures in setting["regimes"].items()
        ]
        for label, setting in results.items()
    }
    colors = {"answer": ANSWER, "trace": TRACE}
    labels = {"answer": "answer", "trace": "whole trace"}
    return _draw_rows(axes, blocks, "mean", colors, labels)


def _draw_link(axes: "Axes", results: Mapping[str, Any]) -> float:
    axes.set_title("Is the answer right when the trace is?")
    blocks = {
        label: [
            (
                regime,
                {
                    side: figures["link"][f"p_answer_if_{side}"]
                    for side in ("right", "wrong")
                    if figures["link"][f"p_answer_if_{side}"]["value"] is not None
                },
            )
            for regime, figures in setting["regimes"].items()
            if "link" in figures
        ]
        for label, setting in results.items()
    }
    colors = {"right": ANSWER, "wrong": TRACE}
    labels = {"right": "trace right", "wrong": "trace wrong"}
    return _draw_rows(axes, blocks, "value", colors, labels)


def _draw_effects(axes: "Axes", results: Mapping[str, Any]) -> float:
    axes.set_title("What does a regime do to the answers, on the same questions?")
    blocks: dict[str, list[Row]] = {
        label: [(name, {"effect": found}) for name, found in setting["paired"].items()]
        for label, setting in results.items()
    }
    rows = _draw_rows(axes, blocks, "difference", {"effect": ANSWER}, {})
    effects = [found for setting in results.values() for found in setting["paired"].values()]
    if not effects:
        return rows
    # A symmetric axis, so that help and harm are drawn to the same scale.
    reach = 108 * max(
        abs(found[name]) for found in effects for name in ("low", "high", "difference")
    )
    axes.set_xlim(-max(reach, 1), max(reach, 1))
    axes.axvline(0, color=QUIET, linewidth=1, zorder=0)
    axes.set_xlabel(
        "difference in answer accuracy, percentage points (95 % interval)\n"
        "grey: too small for this test set to show with 80 % power"
    )
    return rows


def _draw_rows(
    axes: "Axes",
    blocks: Mapping[str, Sequence[Row]],
    mean: str,
    colors: Mapping[str, str],
    labels: Mapping[str, str],
) -> float:
    """Draw estimates with their intervals, a block of rows under each heading; return the rows."""
    place, ticks, names = 0.0, [], []
    for heading, rows in blocks.items():
        if not rows:
            continue
        place += _draw_heading(axes, place, heading)
        for name, estimates in rows:
            for shift, (key, estimate) in zip(
                _SHIFTS[len(colors)], estimates.items(), strict=False
            ):
                _draw_estimate(axes, place + shift, estimate, mean, colors[key])
            ticks.append(place)
            names.append(name)
            place += 1
    if not ticks:
        axes.text(0.5, 0.5, "nothing to show", ha="center", transform=axes.transAxes)
        axes.set_axis_off()
        return 1
    axes.set_yticks(ticks, names)
    axes.set_ylim(place - 0.4, -0.6)
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of questions (95 % interval)")
    for key, label in labels.items():
        axes.plot([], [], "o", color=colors[key], label=label)
    if labels:
        axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)
    return place


def _draw_heading(axes: "Axes", place: float, heading: str) -> float:
    """Draw a heading, wrapped, from `place` downwards; return how many rows it takes."""
    lines = textwrap.wrap(heading, _LINE)
    further = _FURTHER * (len(lines) - 1)
    text = axes.annotate(
        "\n".join(lines),
        (0, place + further / 2),
        (4, 0),
        ("axes fraction", "data"),
        "offset points",
        va="center",
        weight="bold",
        parse_math=False,
    )
    # Else the layout would shrink the axes until the longest heading fits beside them.
    text.set_in_layout(False)
    return 1 + further


def _draw_estimate(
    axes: "Axes", place: float, estimate: Mapping[str, Any], mean: str, color: str
) -> None:
    low, high = estimate["low"], estimate["high"]
    if (limit := estimate.get("detectable")) is not None:
        axes.barh(place, 200 * limit, left=-100 * limit, height=0.7, color="#eef0f2", zorder=0)
    if low is not None and high is not None:
        axes.plot([100 * low, 100 * high], [place, place], color=color, linewidth=2, alpha=0.55)
    axes.plot(100 * estimate[mean], place, "o", color=color, markersize=5)


#: File -> what draws it.
DRAWINGS: Mapping[str, Callable[["Axes", Mapping[str, Any]], float]] = {
    "compare_regimes.png": _draw_regimes,
    "compare_effects.png": _draw_effects,
    "compare_link.png": _draw_link,
}
