"""Our numbers beside those that the paper published."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

from ruamel.yaml import YAML

from tracekd.statistics.association import Counts, association
from tracekd.statistics.intervals import newcombe_interval, wilson_interval
from tracekd.statistics.values import Tree, Undefined

#: The class name where accuracies are not published by class.
ALL = "all"
_ASSOCIATIONS = ("p_answer_if_right", "p_answer_if_wrong", "phi", "chi_square")


def load_published() -> dict[str, Any]:
    """Return the content of published.yaml."""
    text = files("tracekd.comparison").joinpath("published.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = YAML(typ="safe").load(text)
    return content


def beside(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return "dataset, model, regime" -> class -> the published accuracy and ours by cell.

    `difference` is ours - published with Newcombe's interval for two independent samples of
    questions, ours counted once however many seeds there are; it `differs` if the interval excludes
    0.
    """
    content = load_published()
    found: dict[str, Any] = {}
    for dataset, models in content["accuracy"].items():
        sizes = content["questions"][dataset]
        for model, regimes in models.items():
            ours = _ours(results, dataset, model)
            for regime, classes in regimes.items():
                found[f"{dataset}, {content['models'][model]}, {regime}"] = {
                    name: {
                        "published": percent / 100,
                        "published_n": sizes[name],
                        "ours": {
                            label: _against(percent / 100, sizes[name], cell, regime, name)
                            for label, cell in ours.items()
                            if regime in cell["regimes"]
                        },
                    }
                    for name, percent in classes.items()
                }
    return found


def associations_beside(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return "dataset, model, regime" -> the published 2x2 of trace and answer, and ours."""
    content = load_published()
    found: dict[str, Any] = {}
    for dataset, models in content["trace_answer"].items():
        for model, regimes in models.items():
            for regime, cells in regimes.items():
                measured = association(Counts(*cells), "trace")
                found[f"{dataset}, {content['models'][model]}, {regime}"] = {
                    "published": {
                        **Counts(*cells)._asdict(),
                        **{name: measured[name] for name in _ASSOCIATIONS},
                    },
                    "ours": {
                        label: cell["regimes"][regime]["link"]
                        for label, cell in _ours(results, dataset, model).items()
                        if "link" in cell["regimes"].get(regime, {})
                    },
                }
    return found


def _ours(
    results: Mapping[str, Mapping[str, Any]], dataset: str, model: str
) -> dict[str, Mapping[str, Any]]:
    return {
        label: cell
        for label, cell in results.items()
        if cell["dataset"] == dataset and cell["model"] == model
    }


def _against(theirs: float, their_n: int, cell: Mapping[str, Any], regime: str, name: str) -> Tree:
    figures = cell["regimes"][regime]
    if name == ALL:
        ours, n = figures["answer"], figures["n"]
    elif name in figures["by_class"]:
        ours, n = figures["by_class"][name], figures["by_class"][name]["n"]
    else:
        return {"mean": Undefined(f"no test question of class {name}")}
    low, high = newcombe_interval(_with_bounds(ours["mean"], n), _with_bounds(theirs, their_n))
    return {
        **{key: ours[key] for key in ("mean", "low", "high")},
        "n": n,
        "difference": ours["mean"] - theirs,
        "difference_low": low,
        "difference_high": high,
        "differs": not low <= 0 <= high,
    }


def _with_bounds(share: float, n: int) -> tuple[float, float, float]:
    return share, *wilson_interval(share * n, n)
