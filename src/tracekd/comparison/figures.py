"""Figures across experiments: regimes, paired differences, trace and answer, dose and response.

The same input gives the same bytes.
"""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracekd.report.style import ANSWER, PALE, QUIET, TRACE, picture, say

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: Characters in a line of a heading, and lines in a heading: compare.md has all of it.
_LINE, _LINES = 78, 2
_TITLES = {
    "regimes": "How often are answer and trace right?",
    "effects": "What is the effect of a regime on the answers to the same questions?",
    "association": "How often is the answer right, given a right and a wrong trace?",
}
#: Figure -> the estimates that it shows in each row: name -> colour and label.
_SERIES = {
    "regimes": {"answer": (ANSWER, "answer"), "trace": (TRACE, "trace exact match")},
    "effects": {"effect": (ANSWER, "")},
    "association": {"right": (ANSWER, "trace right"), "wrong": (TRACE, "trace wrong")},
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
        lines = sum(len(rows) + 1 for rows in blocks.values())
        with picture(paths[-1], title, (9, 1.6 + 0.27 * max(lines, 1))) as figure:
            _draw(figure.subplots(), name, blocks)
    paths.append(folder / "compare_dose.png")
    with picture(paths[-1], "What do incorrect traces do, dose by dose?", (9, 5)) as figure:
        _draw_doses(figure.subplots(), results)
    return paths


def _draw_doses(axes: "Axes", results: Mapping[str, Any]) -> None:
    """Draw accuracy, and the difference given a right and a wrong trace, over the dose."""
    cells = {label: cell for label, cell in results.items() if cell["dose"]}
    if not cells:
        say(axes, "no model has three doses of incorrect traces (trace_mode: mixed)")
        return
    for place, (heading, cell) in enumerate(cells.items()):
        name = textwrap.shorten(heading, _LINE // 2)
        regimes = [(dose, cell["regimes"][one]) for one, dose in cell["dose"]["doses"].items()]
        answers = [(dose, figures["answer"]) for dose, figures in regimes]
        differences = [(dose, figures["link"]["risk_difference"]) for dose, figures in regimes]
        drawn = {"answers right, %": answers, "given a right - a wrong trace, points": differences}
        for (title, estimates), style in zip(drawn.items(), ("o-", "s--"), strict=True):
            known = [(dose, one) for dose, one in estimates if one["low"] is not None]
            ends = [
                [abs(100 * (one[end] - one["mean"])) for _, one in known] for end in ("low", "high")
            ]
            at, means = [dose for dose, _ in known], [100 * one["mean"] for _, one in known]
            label = f"{name}: {title}"
            axes.errorbar(at, means, yerr=ends, fmt=style, color=f"C{place}", label=label)
    axes.set_xlabel("fraction of incorrect traces in training (95 % intervals)")
    axes.legend(frameon=False, fontsize="small")


def rows_of(figure: str, cell: Mapping[str, Any]) -> Iterator[Row]:
    """Yield the rows of one cell in a figure, without estimates that are undefined."""
    if figure == "effects":
        for pair, found in cell["paired"].items():
            yield pair, {"effect": {**found, "mean": found["difference"]}}
        return
    for regime, figures in cell["regimes"].items():
        shown = figures
        if figure == "association":
            if "link" not in figures:
                continue
            shown = {side: figures["link"][f"p_answer_if_{side}"] for side in ("right", "wrong")}
        known = {name: shown[name] for name in _SERIES[figure] if name in shown}
        yield regime, {name: one for name, one in known.items() if one["mean"] is not None}


def _draw(axes: "Axes", name: str, blocks: Mapping[str, Sequence[Row]]) -> None:
    if not blocks:
        say(axes, "nothing to show")
        return
    series = _SERIES[name]
    shifts = dict(zip(series, (0.0,) if len(series) == 1 else (-0.14, 0.14), strict=True))
    place, ticks = 0, {}
    for heading, rows in blocks.items():
        _draw_heading(axes, place, heading)
        for label, estimates in rows:
            place += 1
            ticks[place] = label
            for key, estimate in estimates.items():
                _draw_estimate(axes, place + shifts[key], estimate, series[key][0])
        place += 1
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.set_ylim(place - 0.4, -0.6)
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
    axes.set_xlim(0, 100)
    axes.set_xlabel("% of questions (95 % interval)")
    for color, label in series.values():
        axes.plot([], [], "o", color=color, label=label)
    axes.legend(frameon=False, loc="lower right", bbox_to_anchor=(1, 1), ncols=2)


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


def _draw_estimate(axes: "Axes", place: float, estimate: Mapping[str, Any], color: str) -> None:
    low, high = estimate["low"], estimate["high"]
    if (limit := estimate.get("detectable")) is not None:
        axes.barh(
            place, 200 * limit, left=-100 * limit, height=0.7, color=PALE, alpha=0.6, zorder=0
        )
    if low is not None and high is not None:
        axes.plot([100 * low, 100 * high], [place, place], color=color, linewidth=2, alpha=0.55)
    axes.plot(100 * estimate["mean"], place, "o", color=color, markersize=5)
