"""The numbers that the paper published, beside ours."""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import yaml

from tracekd.statistics.association import Counts, association
from tracekd.statistics.intervals import newcombe_interval, wilson_interval
from tracekd.statistics.values import Tree, Undefined

#: Where accuracies are not published by class.
ALL = "all"
_LINKS = ("p_answer_if_right", "p_answer_if_wrong", "phi", "chi_square")


def load() -> dict[str, Any]:
    """Return the content of published.yaml."""
    text = files("tracekd.comparison").joinpath("published.yaml").read_text(encoding="utf-8")
    content: dict[str, Any] = yaml.safe_load(text)
    return content


def beside(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return "data set, model, regime" -> class -> the published accuracy and ours.

    Ours is told once for each setting; what was not run has none. `difference` is ours - published
    with Newcombe's interval for two independent samples of questions, ours counted once however
    many seeds there are; the two `differ` if the interval excludes 0.
    """
    content = load()
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
                            label: _against(percent / 100, sizes[name], setting, regime, name)
                            for label, setting in ours.items()
                            if regime in setting["regimes"]
                        },
                    }
                    for name, percent in classes.items()
                }
    return found


def links_beside(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return "data set, model, regime" -> the published 2x2 of trace and answer, and ours."""
    content = load()
    found: dict[str, Any] = {}
    for dataset, models in content["trace_answer"].items():
        for model, regimes in models.items():
            for regime, cells in regimes.items():
                measured = association(Counts(*cells), "trace")
                found[f"{dataset}, {content['models'][model]}, {regime}"] = {
                    "published": {
                        **Counts(*cells)._asdict(),
                        **{name: measured[name] for name in _LINKS},
                    },
                    "ours": {
                        label: setting["regimes"][regime]["link"]
                        for label, setting in _ours(results, dataset, model).items()
                        if "link" in setting["regimes"].get(regime, {})
                    },
                }
    return found


def _ours(
    results: Mapping[str, Mapping[str, Any]], dataset: str, model: str
) -> dict[str, Mapping[str, Any]]:
    return {
        label: setting
        for label, setting in results.items()
        if setting["dataset"] == dataset and setting["model"] == model
    }


def _against(
    theirs: float, their_n: int, setting: Mapping[str, Any], regime: str, name: str
) -> Tree:
    figures = setting["regimes"][regime]
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
