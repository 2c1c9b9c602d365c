"""One file to look at experiments in: overview, questions, differences.

The template holds all text that is no data. `questions`, `figures` and `prose` make the data, the
scripts beside them show it.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tracekd.files import atomic_file
from tracekd.report.contents import Contents
from tracekd.report.page import figures, prose, questions
from tracekd.report.page.inline import BASE, ELEMENTS, FOLDER, packed, render
from tracekd.report.summary import finding

#: In the order in which they depend on each other.
_SCRIPTS = (
    "charts.js",
    "data.js",
    "list.js",
    "overview.js",
    "question.js",
    "questions.js",
    "differences.js",
    "main.js",
)


def page(contents: Sequence[Contents], comparison: Mapping[str, Any] | None, title: str) -> str:
    """Return an HTML page over experiments, the same for the same input.

    Args:
        contents: of each experiment; one without `comparison`.
        comparison: what compare.json holds of them, with `differences` between any two, and the
            `experiments` of each regime; None for the page of one experiment, which leaves out
            times and memory.
        title: of the page.
    """
    index, texts = questions.collect(contents)
    return render(
        FOLDER / "page.html.j2",
        [BASE, FOLDER / "page.css"],
        [ELEMENTS, *(FOLDER / name for name in _SCRIPTS)],
        title=title,
        many=comparison is not None,
        index=packed({"title": title, **index, **_overview(contents, comparison)}),
        texts=packed(texts),
    )


def write_page(
    path: Path, contents: Sequence[Contents], comparison: Mapping[str, Any] | None, title: str
) -> None:
    """Write `page`, completely or not at all."""
    with atomic_file(path) as temporary:
        temporary.write_text(page(contents, comparison, title), encoding="utf-8", newline="\n")


def _overview(contents: Sequence[Contents], comparison: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the overview shows, and which cell, regime and seed each experiment has."""
    labels = {one.name: {"name": one.name, "regime": one.params["trace_mode"]} for one in contents}
    by_name = {one.name: one for one in contents}
    details = {name: one.details for name, one in by_name.items()}
    sections = []
    if comparison is None:
        one = contents[0]
        drawn = [*figures.of_cell(figures.cell_of(one.details), {})]
        drawn += [*figures.of_probes(one.details), *_curves({"": one}, {"": ""})]
        sections.append({"title": "", "findings": [f"{finding(one.details)}."], "figures": drawn})
        comparison = {}
    for title, cell in comparison.get("results", {}).items():
        groups = {}
        for regime, found in cell["regimes"].items():
            for seed, name in found["experiments"].items():
                if name not in labels:  # a part of it is not on this machine
                    continue
                groups[name] = regime
                labels[name] |= {"cell": title, "regime": regime, "seed": seed}
        drawn = [*figures.of_cell(cell, details), *_curves({n: by_name[n] for n in groups}, groups)]
        section = {"title": title, "regimes": list(cell["regimes"]), "figures": drawn}
        sections.append(section | {"findings": list(prose.findings(cell))})
    return {
        "labels": list(labels.values()),
        "sections": sections,
        "cards": prose.cards(contents, measured=bool(comparison)),
        **{name: comparison[name] for name in ("warnings", "differences") if name in comparison},
    }


def _curves(of: Mapping[str, Contents], groups: Mapping[str, str]) -> Iterator[figures.Figure]:
    """Yield figures with a line or two per experiment; `groups` has the regime of each."""
    yield from figures.early_answers({name: one.details for name, one in of.items()}, groups)
    yield from figures.losses({name: one.losses for name, one in of.items()}, groups)
