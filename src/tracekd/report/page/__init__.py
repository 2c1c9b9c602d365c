"""One file to look at experiments in: it needs no network and no server.

The template holds all text that is no data; style and script are in files of their own, and only
these run: the page's content security policy names their hashes, and refuses every request. Data
are compressed JSON in an element that no browser executes; the script shows them as text.
"""

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracekd.report.contents import Contents
from tracekd.report.page import figures, prose, questions
from tracekd.report.summary import finding

_FOLDER = Path(__file__).parent
#: In the order in which they depend on each other.
_SCRIPTS = ("elements.js", "charts.js", "data.js", "overview.js", "questions.js", "differences.js")


def page(contents: Sequence[Contents], comparison: Mapping[str, Any] | None, title: str) -> str:
    """Return an HTML page over experiments, the same for the same input.

    Args:
        contents: of each experiment; one without `comparison`.
        comparison: what compare.json holds of them, with `differences` between any two, and the
            `experiments` of each regime; None for the page of one experiment, which leaves out
            times and memory.
        title: of the page.
    """
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    index, texts = questions.collect(contents)
    index |= _overview(contents, comparison)
    style = _read("page.css")
    script = "\n".join(map(_read, (*_SCRIPTS, "main.js")))
    environment = Environment(
        loader=FileSystemLoader(_FOLDER), autoescape=True, undefined=StrictUndefined
    )
    return environment.get_template("page.html.j2").render(
        title=title,
        many=comparison is not None,
        style=style,
        script=script,
        style_hash=_hash(style),
        script_hash=_hash(script),
        index=_packed({"title": title, **index}),
        texts=_packed(texts),
    )


def _overview(contents: Sequence[Contents], comparison: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what the overview shows, and which cell, regime and seed each experiment has."""
    labels = {one.name: {"name": one.name, "regime": one.params["trace_mode"]} for one in contents}
    details = {one.name: one.details for one in contents}
    logs = {one.name: one.losses for one in contents}
    sections = []
    if comparison is None:
        one = contents[0]
        drawn = [*figures.of_cell(figures.cell_of(one.details), {})]
        drawn += [*figures.of_probes(one.details), *figures.losses({"": one.losses}, {"": ""})]
        sections.append({"title": "", "findings": [f"{finding(one.details)}."], "figures": drawn})
        comparison = {}
    for title, cell in comparison.get("results", {}).items():
        groups = {}
        for regime, found in cell["regimes"].items():
            for seed, name in found["experiments"].items():
                groups[name] = regime
                labels[name] |= {"cell": title, "regime": regime, "seed": seed}
        drawn = [*figures.of_cell(cell, details)]
        drawn += [figure for name in groups for figure in figures.of_probes(details[name], name)]
        drawn += figures.losses({name: logs[name] for name in groups}, groups)
        section = {"title": title, "regimes": list(cell["regimes"]), "figures": drawn}
        sections.append(section | {"findings": list(prose.findings(cell))})
    return {
        "labels": list(labels.values()),
        "sections": sections,
        "cards": prose.cards(contents, measured=bool(comparison)),
        **{name: comparison[name] for name in ("warnings", "differences") if name in comparison},
    }


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _packed(content: Mapping[str, Any]) -> str:
    """Return JSON, compressed and as letters; the same bytes for the same content."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return base64.b64encode(gzip.compress(text.encode(), 6, mtime=0)).decode()
