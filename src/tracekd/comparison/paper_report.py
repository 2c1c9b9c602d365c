"""The part of compare.md that compares our numbers with the published ones."""

from collections.abc import Iterator, Mapping
from typing import Any

from tracekd.comparison.markdown import number, points, table
from tracekd.report.style import NONE

_OVERALL = (
    "Each claim is judged by its rule, separately for each model and dataset, then overall: "
    "undecided ones do not count, and one that contradicts the claim outweighs those that support "
    "it, unless its rule says otherwise."
)
_ALIKE = (
    "Ours over all classes are weighted as theirs are mixed. Differ: classes for which the 95 % "
    "interval of ours - published excludes 0 (Newcombe's, for two samples of questions); ?: their "
    "mix is not known, so the two are not comparable."
)
_COUNTS = ("right_right", "right_wrong", "wrong_right", "wrong_wrong")


def paper_sections(paper: Mapping[str, Any]) -> list[str]:
    """Return the Markdown of section `paper` of compare.json."""
    accuracy = ["dataset", "model", "regime", "classes", "published, %", "our runs", "ours, %"]
    counts = ["dataset", "model", "regime", "published 2x2", "chi-square", "our runs", "ours"]
    return [
        f"## Comparison with the paper\n\n{paper['source'].strip()}\n\n{_OVERALL}",
        *map(_claim, paper["claims"].values()),
        f"### Accuracy\n\n{_ALIKE}\n\n"
        + table([*accuracy, "differ"], _accuracies(paper["accuracy"])),
        "### Trace and answer\n\nQuestions with both right / only the trace right / only the "
        "answer right / both wrong; ours over all seeds.\n\n"
        + table(counts, _associations(paper["trace_answer"])),
    ]


def _claim(claim: Mapping[str, Any]) -> str:
    cells = "\n".join(
        f"- {label}: {one['verdict']}; {one['because']}" for label, one in claim["cells"].items()
    )
    verdict = f"Our runs: **{claim['verdict']}**. Rule: {claim['rule']}."
    return f"### {claim['claim']}\n\n{verdict}\n\n{cells}"


def _accuracies(accuracy: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, classes in accuracy.items():
        published = [points(one["published"]) for one in classes.values()]
        row = [*name.split(", "), " / ".join(classes), " / ".join(published)]
        labels = dict.fromkeys(label for one in classes.values() for label in one["ours"])
        if not labels:
            yield [*row, NONE, NONE, NONE]
        for label in labels:
            ours = {key: one["ours"][label] for key, one in classes.items()}
            marks = {key: one.get("differs", False) for key, one in ours.items()}
            differ = [key if mark else "?" for key, mark in marks.items() if mark is not False]
            shares = " / ".join(points(one["mean"]) for one in ours.values())
            yield [*row, label, shares, ", ".join(differ) or NONE]


def _associations(associations: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, one in associations.items():
        published = one["published"]
        row = [*name.split(", "), _counts(published), number(published["chi_square"], ".1f")]
        if not one["ours"]:
            yield [*row, NONE, NONE]
        for label, ours in one["ours"].items():
            yield [*row, label, _counts(ours)]


def _counts(tree: Mapping[str, Any]) -> str:
    return " / ".join(str(tree[name]) for name in _COUNTS)
