"""compare.json -> compare.md, whose tables also read well as plain text."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracekd.comparison.markdown import NONE, number, p_value, percent, points, table
from tracekd.comparison.paper_report import paper_sections
from tracekd.files import atomic_file, write_json

#: Marks an interval that is not across seeds although there are several.
_MARK = "†"
_MARK_MEANS = (
    "All seeds have the same mean, so the interval is across questions (these runs on other "
    "questions), not across seeds: unlike the others in its column, it does not describe other "
    "seeds."
)
_MEASURES = {
    "answer": "answer",
    "class": "class",
    "facts_f1": "facts F1",
    "facts_exact": "facts exact",
    "trace": "trace exact match",
}


def write(folder: Path, report: Mapping[str, Any], undefined: Mapping[str, str]) -> str:
    """Write compare.json and compare.md into a folder; return the text of the latter."""
    text = to_markdown(report)
    write_json(folder / "compare.json", {**report, "undefined": undefined})
    with atomic_file(folder / "compare.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def to_markdown(report: Mapping[str, Any]) -> str:
    """Return the content of compare.json (null where undefined) as Markdown."""
    sections = [
        _experiments(report["experiments"]),
        _regimes(report["results"]),
        _associations(report["results"]),
        _paired(report["results"]),
        _listed("Not compared", report["not_paired"]),
        _listed("Warnings", report["warnings"]),
        _listed("Missing", report["missing"]),
    ]
    if "paper" in report:
        sections += paper_sections(report["paper"])
    return "\n\n".join(section for section in sections if section) + "\n"


def _experiments(experiments: Mapping[str, Any]) -> str:
    lines = [
        "# Experiments compared",
        f"Used {experiments['used']} of {experiments['found']} experiments; "
        f"{len(experiments['superseded'])} have the same settings as a newer one.",
    ]
    if rejected := experiments["rejected"]:
        lines.append(
            "Not used:\n" + "\n".join(f"- {name}: {why}" for name, why in rejected.items())
        )
    if absent := experiments["scores_absent"]:
        lines.append(
            "Scores not on this machine (fetch them with `dvc pull` or `dvc exp pull REMOTE NAME`, "
            f"or run the experiments again): {', '.join(absent)}."
        )
    if queue := experiments["queue"]:
        states = ", ".join(f"{count} {state}" for state, count in queue.items())
        lines.append(f"In DVC's queue (`dvc queue status`): {states}.")
    return "\n\n".join(lines)


def _regimes(results: Mapping[str, Any]) -> str:
    rows = [
        [
            cell["dataset"],
            _model(cell),
            regime,
            ", ".join(map(str, figures["seeds"])),
            str(figures["n"]),
            *(_estimate(figures, measure) for measure in _MEASURES),
            figures["answer"]["interval"],
        ]
        for cell in results.values()
        for regime, figures in cell["regimes"].items()
    ]
    header = ["dataset", "model", "regime", "seeds", "n", *_MEASURES.values(), "interval (answer)"]
    marked = any(text.endswith(_MARK) for row in rows for text in row)
    return (
        "## Regimes\n\nMean over seeds in percent with its 95 % interval.\n\n"
        + table(header, rows)
        + (f"\n\n{_MARK} {_MARK_MEANS}" if marked else "")
    )


def _estimate(figures: Mapping[str, Any], measure: str) -> str:
    found: Mapping[str, Any] | None = figures.get(measure)
    if found is None or len(figures["seeds"]) == 1 or found["interval"].startswith("t "):
        return percent(found)
    return f"{percent(found)} {_MARK}"


def _associations(results: Mapping[str, Any]) -> str:
    rows = [
        [
            cell["dataset"],
            _model(cell),
            regime,
            percent(found["p_answer_if_right"], "value"),
            percent(found["p_answer_if_wrong"], "value"),
            percent(found["risk_difference"], "value"),
            points(found["risk_difference_within_classes"]),
            " / ".join(number(seed["phi"], ".2f") for seed in found["by_seed"].values()),
            " / ".join(number(seed["chi_square"], ".1f") for seed in found["by_seed"].values()),
        ]
        for cell in results.values()
        for regime, figures in cell["regimes"].items()
        if (found := figures.get("link"))
    ]
    if not rows:
        return ""
    header = ["dataset", "model", "regime", "trace right", "trace wrong", "difference"]
    header += ["within classes", "phi by seed", "chi-square by seed"]
    return (
        "## Association of trace and answer\n\nShare of right answers in percent given a right and "
        "a wrong trace (exact match); seeds pooled.\n\n" + table(header, rows)
    )


def _paired(results: Mapping[str, Any]) -> str:
    rows = [
        [
            cell["dataset"],
            _model(cell),
            name,
            ", ".join(map(str, found["seeds"])) or "none shared",
            percent(found, "difference"),
            _ends(found["over_seeds"]),
            p_value(found["p_value"]),
            p_value(found["p_holm"]),
            found["test"],
            points(found["detectable"]),
        ]
        for cell in results.values()
        for name, found in cell["paired"].items()
    ]
    if not rows:
        return ""
    header = ["dataset", "model", "regimes", "seeds", "difference in accuracy, points"]
    header += ["across seeds", "p", "p (Holm)", "test", "detectable"]
    return (
        "## Paired comparisons on the same questions\n\nDifference in answer accuracy with its "
        "95 % interval across questions (bootstrap), p and Holm's p over all rows: these trained "
        "models on other questions. Across seeds: Student's 95 % interval of the difference; only "
        "this supports claims about regimes. Detectable: the smallest difference that this test "
        "set shows with 80 % power at the 5 % level.\n\n" + table(header, rows)
    )


def _ends(interval: Mapping[str, Any]) -> str:
    if interval["low"] is None:
        return NONE
    return f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}"


def _listed(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _model(cell: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in cell["params"].items())
    return f"{cell['model']} ({rest})" if rest else str(cell["model"])
