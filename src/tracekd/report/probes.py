"""The picture of the probes and its table: what the trace does to the answer."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracekd.probing.plans import CUTS, PROBES
from tracekd.report.style import (
    ANSWER,
    QUIET,
    TRACE,
    percent,
    percent_axis,
    picture,
    say,
    write_csv,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Section = Mapping[str, Any]

#: Probe -> its name in the picture: traces of others first, then variants of the student's own.
NAMES = {
    "gold": "correct trace",
    "incorrect": "incorrect trace",
    "shuffled": "another question's trace",
    "filler": "filler of the same length",
    "empty": "empty trace",
    "own": "student's own trace",
    "corrected_class": "own, class corrected",
    "corrected_facts": "own, facts corrected",
    "corrupted_class": "own, class corrupted",
    "corrupted_facts": "own, facts corrupted",
    **{f"own_cut_{share}": f"own, first {share} %" for share in reversed(CUTS)},
}
_GIVEN = ("gold", "incorrect", "shuffled", "filler", "empty")


def write_all(folder: Path, details: Section, run: str) -> None:
    """Write probes.csv and probes.png; if probes were off, only a table without rows."""
    section = details.get("probes")
    write_csv(table(section), folder / "probes.csv")
    path = folder / "probes.png"
    if section is None:
        path.unlink(missing_ok=True)
        return
    caption = f"{run}; {section['n']} test questions; error bars: 95 % intervals over questions"
    with picture(path, finding(section), (10, 7.4), caption) as figure:
        axes = figure.subplot_mosaic([["accuracy", "early"], ["accuracy", "changes"]])
        _draw_accuracy(axes["accuracy"], table(section))
        _draw_early(axes["early"], section["early_answering"])
        _draw_effects(axes["changes"], section)


def finding(section: Section) -> str:
    """Return in one sentence what a wrong trace in place of the correct one does to accuracy."""
    effect = section["effects"]["gold_to_incorrect"]
    if effect["accuracy_change"] is None:
        return "What does the trace do to the answer?"
    gold, wrong = (
        percent(section["by_probe"][probe]["accuracy"], 0) for probe in ("gold", "incorrect")
    )
    shares = f"{gold} right given the correct trace, {wrong} given an incorrect one"
    low, high = effect["accuracy_change_low"], effect["accuracy_change_high"]
    if low is None or low <= 0 <= high:
        return f"Replacing the correct trace has no clear effect on accuracy: {shares}"
    verb = "lowers" if high < 0 else "raises"
    return f"An incorrect trace in place of the correct one {verb} accuracy: {shares}"


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
    axes.set_title("How often is the answer right?")
    found = {row["probe"]: row for row in rows.iter_rows(named=True)}
    shown = [name for name in NAMES if name in found]
    for place, name in enumerate(shown):
        color = ANSWER if name in _GIVEN else TRACE
        share, low, high = (
            100 * found[name][key] for key in ("accuracy", "accuracy_low", "accuracy_high")
        )
        axes.plot([low, high], [place, place], color=color, linewidth=2, alpha=0.45)
        axes.plot(share, place, "o", color=color)
        axes.annotate(
            f"{share:.0f} %", (share, place), (0, 6), textcoords="offset points", ha="center"
        )
    axes.set_yticks(range(len(shown)), [f"{NAMES[name]} ({found[name]['n']})" for name in shown])
    axes.set_ylim(len(shown) - 0.4, -0.8)
    axes.set_xlim(-7, 107)
    axes.set_xlabel("% of answers, given the trace")
    axes.grid(axis="x", color="#eceff2")


def _draw_early(axes: "Axes", early: Section) -> None:
    axes.set_title("How early is the answer fixed?")
    if not early["n"]:
        say(axes, "the student wrote no trace that could be cut")
        return
    low, same, high = (
        [*(100 * early[f"same_{p}{end}"] for p in CUTS), 100] for end in ("_low", "", "_high")
    )
    places = [*CUTS, 100]
    axes.fill_between(places, same, 100, step="post", color=TRACE, alpha=0.12)
    axes.plot(places, same, drawstyle="steps-post", color=TRACE)
    axes.vlines(places, low, high, color=TRACE, linewidth=2)
    axes.plot(places, same, "o", color=TRACE)
    axes.set_ylim(-4, 112)
    axes.set_xticks(places)
    axes.set_xlabel("% of its own trace shown")
    axes.set_ylabel("% same answer as with all of it")
    axes.annotate(f"area over the curve {early['area']:.2f}", (3, 103), fontsize=8.5)


def _draw_effects(axes: "Axes", section: Section) -> None:
    axes.set_title("Does the answer change?")
    bars = [
        (name.replace("_to_", " \u2192 ").replace("_", " "), found, "answer_changes", ANSWER)
        for name, found in section["effects"].items()
        if found["n"]
    ]
    if (follows := section["follows_wrong_facts"])["n"]:
        bars.append(("follows wrong facts", follows, "share", TRACE))
    for place, (_, found, name, color) in enumerate(bars):
        share, low, high = (100 * found[f"{name}{end}"] for end in ("", "_low", "_high"))
        axes.barh(place, share, color=color, height=0.55)
        axes.plot([low, high], [place, place], color=QUIET, linewidth=1.6)
    labels = [f"{label} ({found['n']})" for label, found, _, _ in bars]
    axes.set_yticks(range(len(bars)), labels, fontsize=8)
    axes.invert_yaxis()
    percent_axis(axes)
