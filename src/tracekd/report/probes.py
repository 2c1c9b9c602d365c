"""The picture of the probes and its table: what the trace does to the answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracekd.probes.plans import CUTS, PROBES
from tracekd.report.figures import percent_axis, picture, say, write_csv

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_GIVEN, _OWN, _EFFECT = "#2a9d8f", "#e76f51", "#264653"
_OFF = "probes are off (params.yaml: probes.enabled)"
#: Probes that do not put the student's own trace, or a part of it, in front.
_NOT_OWN = ("gold", "incorrect", "shuffled", "empty", "filler")

Section = Mapping[str, Any]


def write_all(folder: Path, metrics: Section, title: str) -> None:
    """Write probes.csv and probes.png into a folder; both say so if probes were off.

    Args:
        folder: where to.
        metrics: the content of metrics.json; its section `probes` is drawn.
        title: what was run.
    """
    section = metrics.get("probes")
    write_csv(table(section), folder / "probes.csv")
    heading = title if section is None else f"{title}  (n = {section['n']})"
    with picture(folder / "probes.png", heading, (10, 7.2)) as figure:
        if section is None:
            say(figure.subplots(), _OFF)
            return
        axes = figure.subplot_mosaic([["accuracy", "early"], ["accuracy", "chance"]])
        _draw_accuracy(axes["accuracy"], table(section))
        _draw_early(axes["early"], section["early_answering"])
        _draw_effects(axes["chance"], section)


def table(section: Section | None) -> pl.DataFrame:
    """Return one row per probe that was run, in the order of `PROBES`; none if probes were off."""
    columns = {"n": pl.Int64} | dict.fromkeys(
        ("accuracy", "accuracy_low", "accuracy_high", "gold_logprob"), pl.Float64
    )
    found = {} if section is None else section["by_probe"]
    rows = [
        (name, *(found[name][column] for column in columns))
        for name in PROBES
        if name in found and found[name]["n"]
    ]
    return pl.DataFrame(rows, schema={"probe": pl.String, **columns}, orient="row")


def _draw_accuracy(axes: "Axes", rows: pl.DataFrame) -> None:
    axes.set_title("Accuracy behind each trace")
    for place, row in enumerate(rows.iter_rows(named=True)):
        color = _GIVEN if row["probe"] in _NOT_OWN else _OWN
        share, low, high = (
            100 * row[name] for name in ("accuracy", "accuracy_low", "accuracy_high")
        )
        axes.plot([low, high], [place, place], color=color, linewidth=2, alpha=0.45)
        axes.plot(share, place, "o", color=color)
        axes.annotate(
            f"{share:.0f} %", (share, place), (0, 6), textcoords="offset points", ha="center"
        )
    names = [f"{name.replace('_', ' ')} ({n})" for name, n in rows.select("probe", "n").rows()]
    axes.set_yticks(range(rows.height), names)
    axes.set_ylim(rows.height - 0.4, -0.8)
    axes.set_xlim(-7, 107)
    axes.set_xlabel("%, with 95 % interval")
    axes.grid(axis="x", color="#eceff2")


def _draw_early(axes: "Axes", early: Section) -> None:
    axes.set_title("When does the answer stand?")
    if not early["n"]:
        say(axes, "no trace of the student's own to cut")
        return
    low, same, high = (
        [*(100 * early[f"same_{p}{end}"] for p in CUTS), 100] for end in ("_low", "", "_high")
    )
    places = [*CUTS, 100]
    axes.fill_between(places, same, 100, step="post", color=_OWN, alpha=0.12)
    axes.plot(places, same, drawstyle="steps-post", color=_OWN)
    errors = [
        [b - a for a, b in zip(low, same, strict=True)],
        [b - a for a, b in zip(same, high, strict=True)],
    ]
    axes.errorbar(places, same, errors, fmt="o", color=_OWN, elinewidth=2)
    axes.set_ylim(-4, 108)
    axes.set_xticks(places)
    axes.set_xlabel("% of its own trace shown")
    axes.set_ylabel("% same answer as with all of it")
    axes.annotate(f"area over the curve {early['area']:.2f}", (3, 101), fontsize=8.5)


def _draw_effects(axes: "Axes", section: Section) -> None:
    effects, follows = section["effects"], section["follows_wrong_facts"]
    axes.set_title("How often does the answer change?")
    bars = [
        (f"{_arrow(name)} ({found['n']})", found, "answer_changes")
        for name, found in effects.items()
        if found["n"]
    ]
    if follows["n"]:
        bars.append((f"stands in wrong facts ({follows['n']})", follows, "share"))
    for place, (_, found, name) in enumerate(bars):
        share, low, high = (100 * found[f"{name}{end}"] for end in ("", "_low", "_high"))
        axes.barh(place, share, color=_OWN if name == "share" else _EFFECT, height=0.55)
        axes.plot([low, high], [place, place], color="#8b949e", linewidth=1.6)
    axes.set_yticks(range(len(bars)), [label for label, _, _ in bars], fontsize=8)
    axes.invert_yaxis()
    percent_axis(axes)


def _arrow(name: str) -> str:
    return name.replace("_to_", " \u2192 ").replace("_", " ")
