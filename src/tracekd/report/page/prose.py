"""What a page says in words: the finding, what was run, and the run cards."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tracekd.report.contents import Contents
from tracekd.report.style import find, percent
from tracekd.report.summary import trace_finding

#: Name on the page -> place in metrics/run.json. What a clock or a gauge measured differs between
#: equal runs, and is not in the page of one experiment, which is a function of the experiment.
_CARD = {
    "device": "infer.made_from.machine.device_name",
    "dtype": "infer.made_from.machine.dtype",
    "backend": "infer.made_from.infer.backend",
    "trained weights": "train.trained_weights",
    "steps": "train.steps",
    "torch": "infer.packages.torch",
    "transformers": "infer.packages.transformers",
}
_MEASURED = {
    "training, s": "train.training_seconds",
    "training, tokens/s": "train.tokens_per_second",
    "generation, s": "infer.generation_seconds",
    "peak memory, bytes": "train.peak_memory_bytes",
}
#: Pairs of regimes that a finding names.
_MOST = 3


def findings(cell: Mapping[str, Any]) -> Iterator[str]:
    """Yield what the regimes of a cell show, in sentences that go no further than its intervals."""
    pairs = cell["paired"]
    different = {name: one for name, one in pairs.items() if one["verdict"] == "different"}
    known = {name: one for name, one in pairs.items() if one["low"] is not None}
    if different:
        yield f"Answer accuracy differs between regimes: {_listed(different)}."
    elif known:
        yield f"No difference in answer accuracy between regimes is clear: {_listed(known)}."
    elif pairs:
        yield "With fewer than three seeds nothing is claimed about differences between regimes."
    linked = {label: one for label, one in cell["regimes"].items() if "link" in one}
    if linked:
        label = "correct" if "correct" in linked else next(iter(linked))
        link = linked[label]["link"]
        given = {side: link[f"p_answer_if_{side}"]["mean"] for side in ("right", "wrong")}
        differences = link["risk_difference"], link["risk_difference_within_classes"]
        accuracy = linked[label]["answer"]["mean"]
        yield f"{trace_finding(accuracy, given, *differences)} (regime {label})."
    for label, one in cell["regimes"].items():
        if (change := (one.get("probes") or {}).get("effect")) and change["low"] is not None:
            yield (
                "An incorrect trace in place of the correct one changes the accuracy of students "
                f"of regime {label} by {_points(change)}."
            )


def _listed(pairs: Mapping[str, Any]) -> str:
    chosen = sorted(pairs, key=lambda name: -abs(pairs[name]["difference"]))[:_MOST]
    more = f", and {len(pairs) - _MOST} more" if len(pairs) > _MOST else ""
    return "; ".join(f"{name} by {_points(pairs[name])}" for name in chosen) + more


def _points(pair: Mapping[str, Any]) -> str:
    numbers = (f"{100 * pair[key]:.1f}" for key in ("difference", "low", "high"))
    difference, low, high = (number.replace("-", "−") for number in numbers)
    return f"{difference} points ({low} to {high})"


def cards(contents: Sequence[Contents], *, measured: bool) -> dict[str, Any]:
    """Return what was run: `shared` names and values, and a table of what differs.

    Args:
        contents: experiments, a row each; one has no table.
        measured: whether times and memory are shown.
    """
    paths = _CARD | (_MEASURED if measured else {})
    names = dict.fromkeys(name for one in contents for name in one.params)
    values = {name: [one.params.get(name) for one in contents] for name in names}
    values |= {name: [find(one.card, path) for one in contents] for name, path in paths.items()}
    known = {name: found for name, found in values.items() if any(v is not None for v in found)}
    shared = [(name, found[0]) for name, found in known.items() if len(set(map(repr, found))) == 1]
    columns: dict[str, list[Any]] = {"experiment": [one.name for one in contents]}
    for name in ("answer", "trace"):
        shares = [find(one.details, f"{name}.accuracy") for one in contents]
        columns[f"{name}s right"] = [percent(share) for share in shares]
    columns |= {name: found for name, found in known.items() if name not in dict(shared)}
    rows = list(zip(*columns.values(), strict=True)) if len(contents) > 1 else []
    return {"shared": shared, "columns": list(columns), "rows": rows}
