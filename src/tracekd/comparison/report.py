"""compare.json -> compare.md: the tables as the paper prints them, for people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracekd.comparison.markdown import number, p_value, percent, points, table
from tracekd.comparison.paper_report import paper_sections
from tracekd.files import atomic_file, write_json

#: How many names (of files, of experiments) a line holds; compare.json has them all.
_SHOWN = 5
#: Marks a cell.
_NOT_SEEDS = "†"
_WHY_NOT_SEEDS = (
    "All seeds have the same mean, so the interval is over questions (what other questions would "
    "give these runs) and not over seeds; beside the others of its column it says nothing of what "
    "other seeds would give."
)
_MEASURES = {
    "answer": "answer",
    "class": "class",
    "facts_f1": "IR F1",
    "facts_exact": "IR exact",
    "trace": "whole trace",
}


def markdown(report: Mapping[str, Any]) -> str:
    """Return the report as Markdown whose tables also read well as plain text.

    Args:
        report: the content of compare.json (null where undefined).
    """
    sections = [
        _experiments(report["experiments"]),
        _regimes(report["results"]),
        _links(report["results"]),
        _paired(report["results"]),
        _listed("Not compared", report["not_paired"]),
        _other_code(report["other_code"]),
        _other_machines(report["other_machines"]),
        _missing(report["missing"], report["unfinished"]),
    ]
    if "paper" in report:
        sections += paper_sections(report["paper"])
    return "\n\n".join(section for section in sections if section) + "\n"


def write(folder: Path, report: Mapping[str, Any], undefined: Mapping[str, str]) -> str:
    """Write compare.json and compare.md into a folder; return the text of the latter."""
    text = markdown(report)
    write_json(folder / "compare.json", {**report, "undefined": undefined})
    with atomic_file(folder / "compare.md") as temporary:
        temporary.write_text(text, encoding="utf-8")
    return text


def _experiments(experiments: Mapping[str, Any]) -> str:
    lines = [
        "# Experiments compared",
        f"{experiments['used']} experiments used, of {experiments['found']} found; "
        f"{len(experiments['superseded'])} older with the same settings as a newer one.",
    ]
    if experiments["rejected"]:
        rows = experiments["rejected"].items()
        lines.append("Not used:\n" + "\n".join(f"- {name}: {reason}" for name, reason in rows))
    if experiments["scores_absent"]:
        rows = [
            f"- {name}, accuracy {points(one['accuracy'])}: `{one['command']}`"
            for name, one in experiments["scores_absent"].items()
        ]
        lines.append(
            "Scores not in DVC's cache; fetch them with `dvc fetch --all-commits` "
            "(a committed run) or `dvc exp pull REMOTE NAME`, or run again:\n" + "\n".join(rows)
        )
    if experiments["stand_ins"]:
        rows = [f"- {name}: {older}" for name, older in experiments["stand_ins"].items()]
        lines.append(
            "Scores that cannot be read, and the older run with the same settings that counts in "
            "their place:\n" + "\n".join(rows)
        )
    return "\n\n".join(lines)


def _regimes(results: Mapping[str, Any]) -> str:
    rows = [
        [
            setting["dataset"],
            _model(setting),
            regime,
            ", ".join(map(str, figures["seeds"])),
            str(figures["n"]),
            *(_estimate(figures, measure) for measure in _MEASURES),
            figures["answer"]["interval"],
        ]
        for setting in results.values()
        for regime, figures in setting["regimes"].items()
    ]
    header = ["data set", "model", "regime", "seeds", "n", *_MEASURES.values(), "interval (answer)"]
    marked = any(cell.endswith(_NOT_SEEDS) for row in rows for cell in row)
    return (
        "## Regimes\n\nMean over seeds in percent with its 95 % interval.\n\n"
        + table(header, rows)
        + (f"\n\n{_NOT_SEEDS} {_WHY_NOT_SEEDS}" if marked else "")
    )


def _estimate(figures: Mapping[str, Any], measure: str) -> str:
    """Return a cell; marked if its interval is not over seeds although there are several."""
    found: Mapping[str, Any] | None = figures.get(measure)
    if found is None or len(figures["seeds"]) == 1 or found["interval"].startswith("t "):
        return percent(found)
    return f"{percent(found)} {_NOT_SEEDS}"


def _links(results: Mapping[str, Any]) -> str:
    rows = [
        [
            setting["dataset"],
            _model(setting),
            regime,
            percent(link["p_answer_if_right"], "value"),
            percent(link["p_answer_if_wrong"], "value"),
            percent(link["risk_difference"], "value"),
            points(link["risk_difference_within_classes"]),
            " / ".join(number(seed["phi"], ".2f") for seed in link["by_seed"].values()),
            " / ".join(number(seed["chi_square"], ".1f") for seed in link["by_seed"].values()),
        ]
        for setting in results.values()
        for regime, figures in setting["regimes"].items()
        if (link := figures.get("link"))
    ]
    if not rows:
        return ""
    header = [
        "data set",
        "model",
        "regime",
        "trace right",
        "trace wrong",
    ]
    header += ["difference", "within classes", "phi by seed", "chi-square by seed"]
    return (
        "## Link of whole trace and answer\n\nShare of right answers in percent where the trace is "
        "right and where it is wrong; seeds taken together.\n\n" + table(header, rows)
    )


def _paired(results: Mapping[str, Any]) -> str:
    rows = [
        [
            setting["dataset"],
            _model(setting),
            name,
            ", ".join(map(str, found["seeds"])) or "none shared",
            percent(found, "difference"),
            _ends(found["over_seeds"]),
            p_value(found["p_value"]),
            p_value(found["p_holm"]),
            found["test"],
            points(found["detectable"]),
        ]
        for setting in results.values()
        for name, found in setting["paired"].items()
    ]
    if not rows:
        return ""
    header = ["data set", "model", "regimes", "seeds", "difference in accuracy, points"]
    header += ["over seeds", "p", "p (Holm)", "test", "detectable"]
    return (
        "## Paired comparisons on the same questions\n\nDifference in answer accuracy with its "
        "95 % interval (bootstrap over questions), its p and Holm's over all rows: what other "
        "questions would give these trained runs. Over seeds: Student's 95 % interval of the "
        "seeds' differences, what other seeds would give; only that speaks of regimes. Detectable: "
        "the smallest difference that this test set shows with 80 % power at 5 %.\n\n"
        + table(header, rows)
    )


def _ends(interval: Mapping[str, Any]) -> str:
    if interval["low"] is None:
        return "-"
    return f"{100 * interval['low']:.1f} to {100 * interval['high']:.1f}"


def _other_code(settings: Mapping[str, Sequence[str]]) -> str:
    lines = [f"{label}: {_some(paths)}" for label, paths in settings.items()]
    return _listed("Experiments that ran different code", lines)


def _other_machines(settings: Mapping[str, Mapping[str, Sequence[str]]]) -> str:
    lines = [
        f"{label}; {machine}: {_some(names)}"
        for label, groups in settings.items()
        for machine, names in groups.items()
    ]
    return _listed("Experiments made on different machines or backends", lines)


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _missing(commands: Sequence[str], unfinished: Mapping[str, str]) -> str:
    parts = ["## Missing"]
    if unfinished:
        names = _some([f"{name} ({state})" for name, state in unfinished.items()])
        parts.append(
            f"Not in these tables: what DVC's queue has not finished, {len(unfinished)} in all "
            f"(`dvc queue status`): {names}."
        )
    if commands:
        but = ", if it is not in the queue already" if unfinished else ""
        lines = "\n".join([*commands, "dvc queue start"])
        parts.append(f"This would run what the grid lacks{but}:\n\n```sh\n{lines}\n```")
    elif unfinished:
        parts.append("Of what is in these tables, every regime and seed was run in every setting.")
    else:
        parts.append("Nothing: every regime and seed was run in every setting.")
    return "\n\n".join(parts)


def _listed(title: str, lines: Sequence[str]) -> str:
    return f"## {title}\n\n" + "\n".join(f"- {line}" for line in lines) if lines else ""


def _model(setting: Mapping[str, Any]) -> str:
    rest = ", ".join(f"{name} {value}" for name, value in setting["params"].items())
    return f"{setting['model']} ({rest})" if rest else str(setting["model"])
