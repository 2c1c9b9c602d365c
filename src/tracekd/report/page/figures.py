"""The pictures of a page, as the numbers that its script draws and lists in tables.

A figure is a mapping with `title`, `kind`, `note`, and:

    estimates   `series` (names), and `rows` of a label, the number `n` of questions, and for each
                series its `mean`, `low` and `high`, or None; `points`, one per seed. With
                `differences` the axis is symmetric, and a row may have what is `detectable`
    mosaic      `rows` of a label, the four `counts` of trace and answer (right and right, right and
                wrong, wrong and right, wrong and wrong) and the two estimates `given`: right
                answers given a right trace, and given a wrong one
    curve       `x` and `y` (names of axes), `names` of colours, and `series` of a `name`, the place
                of its colour, `x`, `y`, maybe `low` and `high`; `log`: y is logarithmic
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import polars as pl

from tracekd.probing.plans import CUTS
from tracekd.report.probes import NAMES
from tracekd.report.style import find

Details = Mapping[str, Any]
Figure = dict[str, Any]

#: Name in a cell of compare.json -> name on the page, and place in details.json.
_MEASURES = {
    "answer": ("answer", "answer.accuracy"),
    "class": ("class", "class.accuracy"),
    "facts_f1": ("facts, F1", "facts.f1"),
    "facts_exact": ("facts, exact", "facts.exact"),
    "trace": ("trace exact match", "trace.accuracy"),
}
_WORDS = ("right", "wrong")
_SIDES = ("p_answer_if_right", "p_answer_if_wrong")
#: A loss curve has as many points, each the mean over this share of the steps.
_POINTS, _SMOOTHING = 120, 0.08
_PROBED = "How often is the answer right, given another trace?"
_OVER_QUESTIONS = "95 % intervals over questions."
_OVER_SEEDS = (
    "95 % intervals, crossed over seeds and questions from three seeds on, else over questions"
)
_CROSSED = f"{_OVER_SEEDS}; small marks: single seeds."


def cell_of(details: Details) -> Figure:
    """Return one experiment as `of_cell` takes it, with intervals over questions."""
    one: Figure = {"n": details["n"]}
    for measure, (_, path) in _MEASURES.items():
        if (share := find(details, path)) is not None:
            one[measure] = {"mean": share, **(find(details, f"intervals.{path}") or {})}
    if link := find(details, "link.trace"):
        ends = details["intervals"]["link"]["trace"]
        one["link"] = {**link, **{side: {"mean": link[side], **ends[side]} for side in _SIDES}}
    if selected := details.get("selection"):
        sides = ("with_trace", "without_trace")
        one["selection"] = {side: {"mean": selected[f"accuracy_{side}"]} for side in sides}
    one["by_class"] = {
        name: {
            "n": group["n"],
            "mean": group["answer"]["accuracy"],
            "trace": find(group, "trace.accuracy"),
        }
        for name, group in details["by_class"].items()
    }
    floors = {name: {"answer": {"mean": share}} for name, share in details["floors"].items()}
    return {"regimes": {"answer": one}, "paired": {}, "dose": {}, "floors": floors}


def of_cell(cell: Details, details: Mapping[str, Details]) -> Iterator[Figure]:
    """Yield the figures of a cell of compare.json, or of `cell_of`.

    `details` are the details.json of its experiments, by name.
    """
    regimes, names = cell["regimes"], list(cell["regimes"])
    note = _CROSSED if details else _OVER_QUESTIONS
    rows = [
        _row(label, [_over_seeds(one, measure, details) for one in regimes.values()])
        for measure, (label, _) in _MEASURES.items()
        if any(measure in one for one in regimes.values())
    ]
    if floors := cell.get("floors"):
        best = max(floors, key=lambda name: floors[name]["answer"]["mean"])
        answer = floors[best]["answer"] | {"low": None, "high": None}
        none = [None] * (len(regimes) - 1)
        rows.insert(1, _row(f"no model: {best}", [answer, *none]) | {"quiet": True})
    yield _estimates("How often is each step right?", names, rows, note)
    if linked := {label: one["link"] for label, one in regimes.items() if "link" in one}:
        yield {
            "title": "How often is the answer right, given a right and a wrong trace?",
            "kind": "mosaic",
            "rows": [
                {"label": label, "counts": _counts(link), "given": [link[s] for s in _SIDES]}
                for label, link in linked.items()
            ],
            "note": "Each area is a share of the questions; a click lists them.",
        }
    yield from _of_probed(regimes)
    if pairs := cell["paired"]:
        rows = [
            _row(name, [_difference(pair)], pair["n"]) | {"detectable": pair["detectable"]}
            for name, pair in pairs.items()
        ]
        title = "How much do regimes change answer accuracy?"
        grey = f"{_CROSSED} Grey: too small for this design to find with 80 % power."
        yield _estimates(title, ["difference"], rows, grey) | {"differences": True}
    if dose := cell["dose"]:
        yield _dose(dose["accuracy"]["doses"], regimes)
    yield from _of_selection(cell.get("kept") or {}, regimes)
    groups = {name: None for one in regimes.values() for name in one["by_class"]}
    of_class = {name: [one["by_class"].get(name) for one in regimes.values()] for name in groups}
    if not details:
        names = ["answer", "trace exact match"]
        of_class = {name: [one, {"mean": one["trace"]}] for name, (one,) in of_class.items()}
    rows = [_row(name, found, found[0]["n"]) for name, found in of_class.items()]
    yield _estimates("Answers by class", names, rows, note if details else "")


def _of_selection(kept: Details, regimes: Mapping[str, Details]) -> Iterator[Figure]:
    """Yield what keeping a teacher's traces selected; see `comparison.selection`."""
    if kept:
        names = dict.fromkeys(name for shares in kept.values() for name in shares)
        rows = [
            _row(name, [{"mean": shares.get(name)} for shares in kept.values()]) for name in names
        ]
        yield _estimates("How many training questions have a kept trace?", list(kept), rows, "")
    found = {label: one["selection"] for label, one in regimes.items() if one.get("selection")}
    if found:
        sides = {"with_trace": "with a kept trace", "without_trace": "without"}
        rows = [_row(label, [one[side] for side in sides]) for label, one in found.items()]
        title = "Are students better at questions with a kept trace?"
        note = "Test questions, by whether teacher.keep would keep a trace of the teacher."
        yield _estimates(title, list(sides.values()), rows, note)


def of_probes(details: Details) -> Iterator[Figure]:
    """Yield what each trace given to one student makes of its answers, if it was probed."""
    if not (section := details.get("probes")):
        return
    found = section["by_probe"]
    rows = [
        _row(label, [_bounds(found[key], "accuracy")], found[key]["n"])
        for key, label in NAMES.items()
        if key in found and found[key]["n"]
    ]
    yield _estimates(_PROBED, ["answer"], rows, _OVER_QUESTIONS)
    changes = [
        (name.replace("_to_", " → ").replace("_", " "), one, "answer_changes")
        for name, one in section["effects"].items()
    ]
    changes.append(("follows wrong facts", section["follows_wrong_facts"], "share"))
    rows = [_row(label, [_bounds(one, of)], one["n"]) for label, one, of in changes if one["n"]]
    if rows:
        yield _estimates("Does the answer change?", ["answer"], rows, _OVER_QUESTIONS)


def _of_probed(regimes: Mapping[str, Details]) -> Iterator[Figure]:
    """Yield what each trace given makes of the answers of a regime; see `comparison.probed`."""
    probed = {label: one["probes"] for label, one in regimes.items() if one.get("probes")}
    if found := {label: one["by_probe"] for label, one in probed.items()}:
        rows = [
            _row(label, [probes.get(key) for probes in found.values()])
            for key, label in NAMES.items()
            if any(key in probes for probes in found.values())
        ]
        yield _estimates(_PROBED, list(found), rows, f"{_OVER_SEEDS}.")


def early_answers(details: Mapping[str, Details], groups: Mapping[str, str]) -> Iterator[Figure]:
    """Yield how much of its own trace fixes a student's answer; arguments as for `losses`."""
    sections = {
        name: one["probes"]["early_answering"] for name, one in details.items() if one.get("probes")
    }
    order = list(dict.fromkeys(groups[name] for name in sections))
    series = []
    for name, early in sections.items():
        if early["n"]:
            steps = [_bounds(early, f"same_{cut}") for cut in CUTS]
            steps.append({"mean": 1.0, "low": None, "high": None})
            series.append(
                _line(name or "same answer", order.index(groups[name]), [*CUTS, 100], steps)
            )
    if series:
        axes = ("% of its own trace shown", "share with the same answer as with all of it")
        drawn = _curve("How early is the answer fixed?", axes, series, _OVER_QUESTIONS)
        yield drawn | {"names": order}


def losses(logs: Mapping[str, pl.DataFrame], groups: Mapping[str, str]) -> Iterator[Figure]:
    """Yield the loss of answer and trace over the steps of training.

    Args:
        logs: experiment -> `contents.losses_of`.
        groups: experiment -> what it shares its colour with.
    """
    order = list(dict.fromkeys(groups.values()))
    for part in ("answer", "trace"):
        series = []
        for name, log in logs.items():
            for split in ("train", "validation"):
                known = log.select("step", loss=f"{split}_{part}").drop_nulls()
                if split == "train":
                    window = max(1, round(_SMOOTHING * known.height))
                    mean = pl.col("loss").rolling_mean(window, min_samples=1, center=True)
                    known = known.with_columns(mean)
                    known = known.gather_every(-(-known.height // _POINTS) or 1)
                label = f"{name} {split}".strip()
                line = {"name": label, "colour": order.index(groups[name])}
                line |= {"marks": split == "validation", "x": known["step"].to_list()}
                series.append(line | {"y": [float(f"{loss:.4g}") for loss in known["loss"]]})
        if series := [line for line in series if line["x"]]:
            axes = ("optimizer step", "cross-entropy in nats per token")
            note = "Lines: training, running mean. Marks: validation."
            yield _curve(f"Loss of {part} tokens", axes, series, note) | {
                "log": True,
                "names": order,
            }


def _dose(doses: Mapping[str, float], regimes: Details) -> Figure:
    values = {
        "answer": [regimes[label]["answer"] for label in doses],
        "right trace - wrong trace": [regimes[label]["link"]["risk_difference"] for label in doses],
    }
    series = [
        _line(name, colour, list(doses.values()), found)
        for colour, (name, found) in enumerate(values.items())
    ]
    axes = ("fraction of incorrect traces in training", "share of right answers")
    return _curve("What do incorrect traces do, by their fraction?", axes, series, _CROSSED)


def _estimates(title: str, series: Sequence[str], rows: Sequence[Figure], note: str) -> Figure:
    return {"title": title, "kind": "estimates", "series": series, "rows": rows, "note": note}


def _curve(title: str, axes: tuple[str, str], series: Sequence[Figure], note: str) -> Figure:
    x, y = axes
    names = [line["name"] for line in series]
    drawn = {"x": x, "y": y, "series": series, "names": names, "note": note}
    return {"title": title, "kind": "curve", **drawn}


def _line(name: str, colour: int, x: Sequence[float], found: Sequence[Details]) -> Figure:
    ends = {end: [one[end] for one in found] for end in ("low", "high")}
    return {"name": name, "colour": colour, "x": x, "y": [one["mean"] for one in found], **ends}


def _row(label: str, values: Sequence[Any], n: int | None = None) -> Figure:
    return {"label": label, "n": n, "values": values}


def _bounds(row: Details, name: str) -> Figure:
    return {"mean": row[name], "low": row[f"{name}_low"], "high": row[f"{name}_high"]}


def _over_seeds(one: Details, measure: str, details: Mapping[str, Details]) -> Figure | None:
    if measure not in one:
        return None
    names = [name for name in one.get("experiments", {}).values() if name in details]
    return {**one[measure], "points": [find(details[n], _MEASURES[measure][1]) for n in names]}


def _difference(pair: Details) -> Figure:
    seeds = [seed["difference"] for seed in pair["by_seed"].values()]
    return {"mean": pair["difference"], "low": pair["low"], "high": pair["high"], "points": seeds}


def _counts(link: Details) -> list[int]:
    return [
        link[f"{trace}_{verdict}"] for trace in ("right", "wrong") for verdict in ("right", "wrong")
    ]
