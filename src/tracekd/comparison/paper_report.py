"""The part of compare.md that sets our numbers beside the published ones."""

from collections.abc import Iterator, Mapping
from typing import Any

from tracekd.comparison.markdown import NONE, number, points, table

_OVERALL = (
    "A claim is judged in each setting by the rule that stands beside it, then over all: settings "
    "that cannot decide have no voice, and where the others disagree the claim is not decided."
)
_CELLS = ("right_right", "right_wrong", "wrong_right", "wrong_wrong")


def paper_sections(paper: Mapping[str, Any]) -> list[str]:
    """Return the sections of compare.md on section `paper` of compare.json."""
    accuracy = ["data set", "model", "regime", "classes", "published, %", "our setting", "ours, %"]
    links = ["data set", "model", "regime", "published 2x2", "chi-square", "our setting", "ours"]
    return [
        f"## Beside the paper\n\n{paper['source'].strip()}\n\n{_OVERALL}",
        *map(_claim, paper["claims"].values()),
        "### Accuracy\n\nDiffer: the 95 % interval of ours - published excludes 0.\n\n"
        + table([*accuracy, "differ"], _accuracies(paper["accuracy"])),
        "### Trace against answer\n\nRight and right / right and wrong / wrong and right / "
        "wrong and wrong; ours over all seeds.\n\n" + table(links, _links(paper["trace_answer"])),
    ]


def _claim(claim: Mapping[str, Any]) -> str:
    settings = [
        f"- {label}: {one['verdict']}; {one['because']}" for label, one in claim["settings"].items()
    ]
    return "\n\n".join(
        [
            f"### {claim['claim']}",
            f"Our runs: **{claim['verdict']}**. Rule: {claim['rule']}.",
            "\n".join(settings),
        ]
    )


def _accuracies(accuracy: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, classes in accuracy.items():
        published = [points(one["published"]) for one in classes.values()]
        row = [*name.split(", "), " / ".join(classes), " / ".join(published)]
        labels = dict.fromkeys(label for one in classes.values() for label in one["ours"])
        if not labels:
            yield [*row, NONE, NONE, NONE]
        for label in labels:
            ours = {key: one["ours"][label] for key, one in classes.items()}
            differ = [key for key, one in ours.items() if one.get("differs")]
            shares = " / ".join(points(one["mean"]) for one in ours.values())
            yield [*row, label, shares, ", ".join(differ) or NONE]


def _links(links: Mapping[str, Any]) -> Iterator[list[str]]:
    for name, one in links.items():
        published = one["published"]
        row = [*name.split(", "), _cells(published), number(published["chi_square"], ".1f")]
        if not one["ours"]:
            yield [*row, NONE, NONE]
        for label, link in one["ours"].items():
            yield [*row, label, _cells(link)]


def _cells(tree: Mapping[str, Any]) -> str:
    return " / ".join(str(tree[name]) for name in _CELLS)
