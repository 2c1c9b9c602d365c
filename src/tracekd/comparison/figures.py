"""Figures across experiments: regimes, paired differences, trace and answer, probes, doses.

The same input gives the same bytes.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.report.probes import NAMES
from tracekd.report.style import ANSWER, PALE, QUIET, TRACE, picture, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Characters in a line of a heading, and lines in a heading: compare.md has all of it.
_LINE, _LINES = 78, 2
_TITLES = {
    "regimes": "How often are answer and trace right?",
    "effects": "What is the effect of a regime on the answers to the same questions?",
    "association": "How often is the answer right, given a right and a wrong trace?",
    "probes": "How often is the answer right, given another trace?",
    "dose": "What do incorrect traces do, by their fraction in training?",
}
#: Figure -> the estimates that it shows in each row: name -> colour and label.
_SERIES = {
    "regimes": {"answer": (ANSWER, "answer"), "trace": (TRACE, "trace exact match")},
    "effects": {"effect": (ANSWER, "")},
    "association": {"right": (ANSWER, "trace right"), "wrong": (TRACE, "trace wrong")},
    "probes": {"answer": (ANSWER, "answer")},
    "dose": {"answer": (ANSWER, "answer"), "difference": (TRACE, "trace right - trace wrong")},
}
_EMPTY = {
    "dose": "no model has three doses of incorrect traces (trace_mode: mixed)",
    "probes": "no student was probed (probes.enabled)",
}
#: A label, and the estimates to draw beside it.
Row = tuple[str, Mapping[str, Mapping[str, Any]]]


def write_all(folder: Path, results: Mapping[str, Any]) -> list[Path]:
    """Draw section `results` of compare.json into a folder; return the paths of the files."""
    paths = []
    for name, title in _TITLES.items():
        paths.append(folder / f"compare_{name}.png")
        found = {label: list(rows_of(name, cell)) for label, cell in results.items()}
        blocks = {label: rows for label, rows in found.items() if rows}
        heights = [len(rows) + 2 for rows in blocks.values()] or [3]
        with picture(paths[-1], title, (9, 1.4 + 0.27 * sum(heights))) as figure:
            panels = figure.subplots(len(heights), squeeze=False, height_ratios=heights).flat
            if not blocks:
                say(panels[0], _EMPTY.get(name, "nothing to show"))
            for axes, (label, rows) in zip(panels, blocks.items(), strict=False):
                lines = textwrap.wrap(label, _LINE, max_lines=_LINES, placeholder=" …")
                axes.set_title("\n".join(lines), fontsize="small", parse_math=False)
                _draw(axes, name, rows)
    return paths


def rows_of(figure: str, cell: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of one cell in a figure, without estimates that are undefined."""
    shown: dict[str, Mapping[str, Any]] = dict(cell["regimes"])
    links = {name: one["link"] for name, one in shown.items() if "link" in one}
    if figure == "effects":
        shown = {
            pair: {"effect": {**found, "mean": found["difference"]}}
            for pair, found in cell["paired"].items()
        }
    elif figure == "association":
        sides = ("right", "wrong")
        shown = {
            name: {side: link[f"p_answer_if_{side}"] for side in sides}
            for name, link in links.items()
        }
    elif figure == "probes":
        probed = {name: one["probes"] for name, one in shown.items() if one.get("probes")}
        shown = {
            f"{name}: {NAMES[probe]}": {"answer": estimate}
            for name, one in probed.items()
            for probe, estimate in one["by_probe"].items()
        }
    elif figure == "dose":
        doses = cell["dose"]["accuracy"]["doses"] if cell["dose"] else {}
        shown = {
            f"{dose:g}": {**shown[name], "difference": links[name]["risk_difference"]}
            for name, dose in doses.items()
        }
    for label, figures in shown.items():
        known = {name: figures[name] for name in _SERIES[figure] if name in figures}
        yield label, {name: one for name, one in known.items() if one["mean"] is not None}


def _draw(axes: "Axes", name: str, rows: Sequence[Row]) -> None:
    series = _SERIES[name]
    shifts = dict(zip(series, (0.0,) if len(series) == 1 else (-0.14, 0.14), strict=True))
    # Doses are as far apart as their labels say.
    places = [
        float(label) * (len(rows) - 1) if name == "dose" else place
        for place, (label, _) in enumerate(rows)
    ]
    for place, (_, estimates) in zip(places, rows, strict=True):
        for key, estimate in estimates.items():
            _draw_estimate(axes, place + shifts[key], estimate, series[key][0])
    axes.set_yticks(places, [label for label, _ in rows])
    axes.set_ylim(places[-1] + 0.6, -0.6)
    if name == "effects":
        # Symmetric, so that help and harm have the same scale.
        reach = max(1.0, *(abs(limit) for limit in axes.get_xlim()))
        axes.set_xlim(-reach, reach)
        axes.axvline(0, color=QUIET, linewidth=1, zorder=0)
        axes.set_xlabel(
            "difference in answer accuracy, points (95 % interval over seeds and questions)\n"
            "grey: too small for this design to find with 80 % power"
        )
        return
    axes.set_xlim(min(0, axes.get_xlim()[0]) if name == "dose" else 0, 100)
    axes.set_xlabel("% of questions (95 % interval)")
    for color, label in series.values():
        axes.plot([], [], "o", color=color, label=label)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


def _draw_estimate(axes: "Axes", place: float, estimate: Mapping[str, Any], color: str) -> None:
    low, high = estimate["low"], estimate["high"]
    if (limit := estimate.get("detectable")) is not None:
        axes.barh(
            place, 200 * limit, left=-100 * limit, height=0.7, color=PALE, alpha=0.6, zorder=0
        )
    if low is not None and high is not None:
        axes.plot([100 * low, 100 * high], [place, place], color=color, linewidth=2, alpha=0.55)
    axes.plot(100 * estimate["mean"], place, "o", color=color, markersize=5)
