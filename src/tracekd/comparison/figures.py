"""Figures across experiments: regimes side by side, paired differences, trace and answer by regime.

The same input gives the same bytes.
"""

import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.report.figures import ANSWER, QUIET, TRACE, picture, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Characters in a line of a heading, and lines in a heading: compare.md has all of it.
_LINE, _LINES = 78, 2
#: Vertical positions, relative to its row, of one or two estimates.
_SHIFTS = {1: (0.0,), 2: (-0.14, 0.14)}
#: A label, and the estimates to draw beside it by series; a series may be absent.
Row = tuple[str, Mapping[str, Mapping[str, Any]]]


@dataclass(frozen=True)
class Chart:
    """A figure of estimates with intervals, a block of rows for each cell.

    Attributes:
        mean: the key of an estimate's middle.
        series: name -> colour and label.
        blocks: heading -> rows.
    """

    title: str
    mean: str
    series: Mapping[str, tuple[str, str]]
    blocks: Mapping[str, Sequence[Row]]


def write_all(folder: Path, results: Mapping[str, Any]) -> list[Path]:
    """Write compare_regimes.png, compare_effects.png and compare_association.png into a folder.

    Args:
        folder: where to.
        results: section `results` of compare.json.

    Returns:
        Their paths.
    """
    paths = []
    for name, chart in charts(results).items():
        paths.append(folder / f"compare_{name}.png")
        rows = sum(len(block) + 1 for block in chart.blocks.values() if block)
        with picture(paths[-1], chart.title, (9, 1.6 + 0.27 * max(rows, 1))) as figure:
            _draw(figure.subplots(), chart)
    return paths


def charts(results: Mapping[str, Any]) -> dict[str, Chart]:
    """Return name -> figure, given section `results` of compare.json."""

    def given_trace(figures: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
        sides = {side: figures["link"][f"p_answer_if_{side}"] for side in ("right", "wrong")}
        return {side: share for side, share in sides.items() if share["value"] is not None}

    return {
        "regimes": Chart(
            "How often are answer and trace right?",
            "mean",
            {"answer": (ANSWER, "answer"), "trace": (TRACE, "trace exact match")},
            {
                label: [
                    (
                        regime,
                        {name: figures[name] for name in ("answer", "trace") if name in figures},
                    )
                    for regime, figures in cell["regimes"].items()
                ]
                for label, cell in results.items()
            },
        ),
        "effects": Chart(
            "What is the effect of a regime on the answers to the same questions?",
            "difference",
            {"effect": (ANSWER, "")},
            {
                label: [(name, {"effect": found}) for name, found in cell["paired"].items()]
                for label, cell in results.items()
            },
        ),
        "association": Chart(
            "How often is the answer right, given a right and a wrong trace?",
            "value",
            {"right": (ANSWER, "trace right"), "wrong": (TRACE, "trace wrong")},
            {
                label: [
                    (regime, given_trace(figures))
                    for regime, figures in cell["regimes"].items()
                    if "link" in figures
                ]
                for label, cell in results.items()
            },
        ),
    }


def _draw(axes: "Axes", chart: Chart) -> None:
    blocks = {heading: rows for heading, rows in chart.blocks.items() if rows}
    if not blocks:
        say(axes, "nothing to show")
        return
    place, ticks = 0, []
    for heading, rows in blocks.items():
        _draw_heading(axes, place, heading)
        for name, estimates in rows:
            place += 1
            ticks.append((place, name))
            shifts = zip(chart.series, _SHIFTS[len(chart.series)], strict=True)
            for series, shift in shifts:
                if series in estimates:
                    color = chart.series[series][0]
                    _draw_estimate(axes, place + shift, estimates[series], chart.mean, color)
        place += 1
    axes.set_yticks([where for where, _ in ticks], [name for _, name in ticks])
    axes.set_ylim(place - 0.4, -0.6)
    if "effect" in chart.series:
        _center(axes, [e["effect"] for rows in blocks.values() for _, e in rows])
        return
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of questions (95 % interval)")
    for color, label in chart.series.values():
        axes.plot([], [], "o", color=color, label=label)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def _center(axes: "Axes", effects: Sequence[Mapping[str, Any]]) -> None:
    """Make the axis of differences symmetric, so that help and harm have the same scale."""
    largest = max(abs(found[key]) for found in effects for key in ("low", "high", "difference"))
    reach = max(1.0, 108 * largest)
    axes.set_xlim(-reach, reach)
    axes.axvline(0, color=QUIET, linewidth=1, zorder=0)
    axes.set_xlabel(
        "difference in answer accuracy, percentage points (95 % interval across questions)\n"
        "grey: too small for this test set to show with 80 % power"
    )


def _draw_heading(axes: "Axes", place: float, heading: str) -> None:
    lines = textwrap.wrap(heading, _LINE, max_lines=_LINES, placeholder=" …")
    text = axes.annotate(
        "\n".join(lines),
        (0, place),
        (4, 0),
        ("axes fraction", "data"),
        "offset points",
        va="center",
        weight="bold",
        fontsize="medium" if len(lines) == 1 else "x-small",
        parse_math=False,
    )
    # Otherwise the layout would shrink the axes until the longest heading fits beside them.
    text.set_in_layout(False)


def _draw_estimate(
    axes: "Axes", place: float, estimate: Mapping[str, Any], mean: str, color: str
) -> None:
    low, high = estimate["low"], estimate["high"]
    if (limit := estimate.get("detectable")) is not None:
        axes.barh(place, 200 * limit, left=-100 * limit, height=0.7, color="#eef0f2", zorder=0)
    if low is not None and high is not None:
        axes.plot([100 * low, 100 * high], [place, place], color=color, linewidth=2, alpha=0.55)
    axes.plot(100 * estimate[mean], place, "o", color=color, markersize=5)
