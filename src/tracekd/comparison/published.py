"""Our numbers beside those that the paper published."""

from collections.abc import Iterator, Mapping
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
    """Return the published numbers, and ours of section `results` of compare.json by cell.

    `accuracy` has classes. `difference` is ours - published with Newcombe's interval for two
    independent samples of questions, ours counted once however many seeds there are; it `differs`
    if the interval excludes 0. `trace_answer` has the 2x2 of trace and answer.
    """
    content = load_published()
    accuracy = {
        f"{dataset}, {content['models'][model]}, {regime}": {
            name: {
                "published": percent / 100,
                "published_n": content["questions"][dataset][name],
                "ours": {
                    label: _against(percent / 100, content["questions"][dataset][name], one, name)
                    for label, one in _ours(results, dataset, model, regime).items()
                },
            }
            for name, percent in classes.items()
        }
        for dataset, model, regime, classes in _entries(content["accuracy"])
    }
    trace_answer: dict[str, Any] = {}
    for dataset, model, regime, cells in _entries(content["trace_answer"]):
        measured = association(Counts(*cells), "trace")
        chosen = {name: measured[name] for name in _ASSOCIATIONS}
        ours = _ours(results, dataset, model, regime)
        trace_answer[f"{dataset}, {content['models'][model]}, {regime}"] = {
            "published": {**Counts(*cells)._asdict(), **chosen},
            "ours": {label: one["link"] for label, one in ours.items() if "link" in one},
        }
    return {"source": content["source"], "accuracy": accuracy, "trace_answer": trace_answer}


def _entries(section: Mapping[str, Any]) -> Iterator[tuple[str, str, str, Any]]:
    for dataset, models in section.items():
        for model, regimes in models.items():
            for regime, numbers in regimes.items():
                yield dataset, model, regime, numbers


def _ours(
    results: Mapping[str, Mapping[str, Any]], dataset: str, model: str, regime: str
) -> dict[str, Mapping[str, Any]]:
    return {
        label: cell["regimes"][regime]
        for label, cell in results.items()
        if (cell["dataset"], cell["model"]) == (dataset, model) and regime in cell["regimes"]
    }


def _against(theirs: float, their_n: int, figures: Mapping[str, Any], name: str) -> Tree:
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
