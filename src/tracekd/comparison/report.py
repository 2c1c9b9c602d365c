"""compare.json -> compare.md, whose tables also read well as plain text."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from tracekd.comparison.markdown import number, p_value, points, table, with_interval
from tracekd.comparison.paper_report import paper_sections
from tracekd.comparison.probed import COMPARED
from tracekd.files import atomic_file, write_json
from tracekd.report.style import NONE
from tracekd.statistics.crossed import Components, detectable, needed
from tracekd.statistics.values import Undefined

#: Heading of a column -> the text of its cell, given a regime's figures or a paired comparison.
Columns = Mapping[str, Callable[[Mapping[str, Any]], str]]


def write(
    folder: Path,
    report: Mapping[str, Any],
    undefined: Mapping[str, str],
    planned: float | None = None,
) -> str:
    """Write compare.json and compare.md into a folder; return the text of the latter.

    With `planned`, a difference in accuracy, the text ends with what it would take to detect it.
    """
    text = to_markdown(report) + (plan(report["results"], planned) if planned else "")
    write_json(folder / "compare.json", {**report, "undefined": undefined})
    with atomic_file(folder / "compare.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def to_markdown(report: Mapping[str, Any]) -> str:
    """Return the content of compare.json (null where undefined) as Markdown."""
    results = report["results"]
    regimes = _table(results, _REGIMES, "regimes", "floors")
    associations = _table(results, _ASSOCIATIONS, "regimes", needed="link")
    paired = _table(results, _PAIRED, "paired")
    doses = _table(results, _DOSES, "dose")
    probes = _table(results, _PROBES, "regimes", needed="probes")
    selected = _table(results, _SELECTED, "regimes", needed="selection")
    sections = [
        _experiments(report["experiments"]),
        regimes
        and "## Regimes\n\nMean over seeds in percent with its 95 % interval. Crossed: other seeds "
        "on other questions; over questions: only these trained models. Rows without seeds: "
        f"answers that need no model.\n\n{regimes}",
        associations
        and "## Association of trace and answer\n\nShare of right answers in percent given a "
        "right and a wrong trace (exact match), over all seeds; their difference within seeds with "
        "its p, and within seeds and classes. From three seeds on the shares' intervals are "
        "crossed; the others, and p, are over questions, each with all its seeds: these trained "
        f"models on other questions.\n\n{associations}",
        paired
        and "## Paired comparisons on the same questions\n\nDifference in answer accuracy with its "
        "crossed 95 % interval (other seeds on other questions), p, and Holm's p over all rows. "
        f"Equivalent: within {points(report['margin'])} points by two one-sided tests, adjusted "
        "too. Over questions: these trained models (bootstrap). Over seeds: these questions "
        "(Student's t). Detectable: the smallest difference that this design finds with 80 % "
        f"power. With fewer than three seeds nothing is claimed about regimes.\n\n{paired}",
        probes
        and "## Probes\n\nAnswers right, in percent, when the trace given is the correct one, an "
        "incorrect one, another question's, an empty one, and the student's own; and what an "
        "incorrect trace in place of the correct one changes, in points, "
        "with its p, not adjusted. Means over seeds. Intervals are crossed from three seeds on; "
        "with fewer they are over questions, and the change has none. A number in brackets is that "
        "of the questions that all students were asked with this trace, where others have more."
        f"\n\n{probes}",
        doses
        and "## Dose and response\n\nChange from only correct to only incorrect traces, in points, "
        "by a straight line over the doses: of answer accuracy (crossed 95 % interval, p, and p of "
        "Page's test over seeds that it falls from dose to dose), and of the association, the "
        "difference between answers given a right and a wrong trace (interval over questions)."
        f"\n\n{doses}",
        _listed("Training questions with a kept trace of the teacher, %", _kept(results)),
        selected
        and "## Accuracy by the teacher's selection\n\nAnswers right, in percent, on the test "
        f"questions with and without a kept trace of the teacher: means over seeds.\n\n{selected}",
        _listed("Not compared", report["not_paired"]),
        _listed("Warnings", report["warnings"]),
        *(paper_sections(report["paper"]) if "paper" in report else ()),
    ]
    return "\n\n".join(filter(None, sections)) + "\n"


def plan(results: Mapping[str, Any], difference: float) -> str:
    """Return how many seeds, or questions, it takes to detect a difference with 80 % power."""
    rows = []
    for cell in results.values():
        for name, pair in cell["paired"].items():
            if "components" not in pair:
                continue
            components, seeds = Components(**pair["components"]), len(pair["seeds"])
            sizes = (
                needed(partial(detectable, components, questions=pair["n"]), difference),
                needed(partial(detectable, components, seeds), difference),
            )
            shown = ["no number" if isinstance(n, Undefined) else str(n) for n in sizes]
            with_questions = f"{shown[0]} seeds x {pair['n']} questions"
            with_seeds = f"{seeds} seeds x {shown[1]} questions"
            rows.append([cell["dataset"], _model(cell), name, with_questions, with_seeds])
    header = ["dataset", "model", "regimes", "with these questions", "with these seeds"]
    title = f"## To detect a difference of {points(difference)} points with 80 % power"
    return f"\n{title}\n\n{table(header, rows) if rows else 'No pair has three seeds.'}\n"


def _experiments(experiments: Mapping[str, Any]) -> str:
    lines = [
        "# Experiments compared",
        f"Used {experiments['used']} of {experiments['found']} experiments; "
        f"{len(experiments['superseded'])} have the same settings as a newer one.",
    ]
    if rejected := experiments["rejected"]:
        lines.append("\n".join(["Not used:", *(f"- {n}: {why}" for n, why in rejected.items())]))
    if absent := experiments["scores_absent"]:
        lines.append(
            "Scores not on this machine (fetch them with `dvc pull` or `dvc exp pull REMOTE NAME`, "
            f"or run the experiments again): {', '.join(absent)}."
        )
    if queue := experiments["queue"]:
        states = ", ".join(f"{count} {state}" for state, count in queue.items())
        lines.append(f"In DVC's queue (`dvc queue status`): {states}.")
    return "\n\n".join(lines)


def _table(results: Mapping[str, Any], columns: Columns, *parts: str, needed: str = "seeds") -> str:
    rows = [
        [cell["dataset"], _model(cell), name, *(show(figures) for show in columns.values())]
        for cell in results.values()
        for part in parts
        for name, figures in cell.get(part, {}).items()
        if needed in figures
    ]
    named = {"regimes": "regime", "paired": "regimes", "dose": "change in"}[parts[0]]
    return table(["dataset", "model", named, *columns], rows) if rows else ""


def _kept(results: Mapping[str, Any]) -> list[str]:
    lines = []
    for label, cell in results.items():
        if cell["kept"] is None:
            lines.append(f"{label}: unknown; data/teacher is not on this machine")
        for kind, shares in (cell["kept"] or {}).items():
            by_class = ", ".join(f"{name} {points(share)}" for name, share in shares.items())
            lines.append(f"{label}, {kind}: {by_class}")
    return lines


def _model(cell: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in cell["params"].items())
    return f"{cell['model']} ({rest})" if rest else str(cell["model"])


def _listed(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _mean(measure: str) -> Callable[[Mapping[str, Any]], str]:
    return lambda figures: with_interval(figures.get(measure))


def _given(probe: str) -> Callable[[Mapping[str, Any]], str]:
    def shown(figures: Mapping[str, Any]) -> str:
        given = _probed(figures, "by_probe")
        fewer = probe in given and given[probe]["n"] < max(one["n"] for one in given.values())
        return with_interval(given.get(probe)) + (f" [{given[probe]['n']}]" if fewer else "")

    return shown


def _probed(figures: Mapping[str, Any], part: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (figures["probes"] or {}).get(part) or {}
    return found


def _ends(interval: Mapping[str, Any]) -> str:
    if interval["low"] is None:
        return NONE
    return f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}"


_REGIMES: Columns = {
    "seeds": lambda figures: ", ".join(figures["seeds"]) or NONE,
    "n": lambda figures: str(figures["n"]),
    "answer": _mean("answer"),
    "class": _mean("class"),
    "facts F1": _mean("facts_f1"),
    "facts exact": _mean("facts_exact"),
    "trace exact match": _mean("trace"),
    "cut off": lambda figures: points(figures.get("cut", {}).get("mean")),
    "interval (answer)": lambda figures: str(figures["answer"].get("interval", NONE)),
}
_ASSOCIATIONS: Columns = {
    "trace right": lambda figures: with_interval(figures["link"]["p_answer_if_right"]),
    "trace wrong": lambda figures: with_interval(figures["link"]["p_answer_if_wrong"]),
    "difference": lambda figures: with_interval(figures["link"]["risk_difference"]),
    "p": lambda figures: p_value(figures["link"]["risk_difference"]["p_value"]),
    "within classes": lambda figures: with_interval(
        figures["link"]["risk_difference_within_classes"]
    ),
    "chi-square by seed": lambda figures: " / ".join(
        number(seed["chi_square"], ".1f") for seed in figures["link"]["by_seed"].values()
    ),
}
_PROBES: Columns = {
    "seeds": lambda figures: ", ".join(_probed(figures, "effect").get("by_seed", ())) or NONE,
    **{probe: _given(probe) for probe in COMPARED},
    "incorrect - gold": lambda figures: with_interval(_probed(figures, "effect"), "difference"),
    "p": lambda figures: p_value(_probed(figures, "effect").get("p_value")),
}
_SELECTED: Columns = {
    "with trace": lambda figures: with_interval(figures["selection"]["with_trace"]),
    "without trace": lambda figures: with_interval(figures["selection"]["without_trace"]),
}
_PAIRED: Columns = {
    "seeds": lambda pair: ", ".join(pair["seeds"]) or "none shared",
    "difference in accuracy, points": lambda pair: with_interval(pair, "difference"),
    "p": lambda pair: p_value(pair["p_value"]),
    "p (Holm)": lambda pair: p_value(pair["p_holm"]),
    "verdict": lambda pair: str(pair["verdict"]),
    "over questions": lambda pair: _ends(pair["over_questions"]),
    "over seeds": lambda pair: _ends(pair["over_seeds"]),
    "detectable": lambda pair: points(pair["detectable"]),
}
_DOSES: Columns = {
    "doses": lambda line: " / ".join(f"{dose:g}" for dose in line["doses"].values()),
    "seeds": lambda line: ", ".join(line["seeds"]),
    "slope": lambda line: with_interval(line, "slope"),
    "p": lambda line: p_value(line.get("p_value")),
    "p (Page)": lambda line: p_value(line.get("page_p_value")),
}
