"""Our numbers beside those that the paper published."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tracekd.config.reading import read_yaml
from tracekd.statistics.association import Counts, association
from tracekd.statistics.intervals import newcombe_interval, wilson_interval
from tracekd.statistics.values import Tree, Undefined

#: The class name where accuracies are not published by class.
ALL = "all"
_ASSOCIATIONS = ("p_answer_if_right", "p_answer_if_wrong", "phi", "chi_square")


def load_published() -> dict[str, Any]:
    """Return the content of published.yaml."""
    content: dict[str, Any] = read_yaml(Path(__file__).with_name("published.yaml"))
    return content


def beside(results: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """Return the published numbers, and ours of section `results` of compare.json by cell.

    `accuracy` has classes. Where the published figure is over all classes, ours are weighted as
    theirs are mixed; if their mix is not known, the two are not comparable. `difference` is ours -
    published with Newcombe's interval for two independent samples of questions, ours counted once
    however many seeds there are (so it is too wide, if anything, where both have the same
    questions); it `differs` if the interval excludes 0. `trace_answer` has the 2x2 of trace and
    answer.
    """
    content = load_published()
    accuracy: dict[str, Any] = {}
    for dataset, model, regime, classes in _entries(content["accuracy"]):
        shown = accuracy[f"{dataset}, {content['models'][model]}, {regime}"] = {}
        for name, percent in classes.items():
            n = content["questions"][dataset][name]
            mix = content["mix"].get(dataset) if name == ALL else {name: n}
            ours = {
                label: _against(percent / 100, n, one, mix)
                for label, one in _ours(results, dataset, model, regime).items()
            }
            shown[name] = {"published": percent / 100, "published_n": n, "ours": ours}
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


def _against(
    theirs: float, their_n: int, figures: Mapping[str, Any], mix: Mapping[str, int] | None
) -> Tree:
    """Compare our accuracy on a mix of classes (class -> weight) with a published one."""
    if mix is None:
        unknown = Undefined("not comparable: the mix of classes in the published figure is unknown")
        return {"mean": figures["answer"]["mean"], "n": figures["n"], "differs": unknown}
    classes = figures["by_class"]
    if absent := [name for name in mix if name not in classes]:
        return {"mean": Undefined(f"no test question of class {', '.join(absent)}")}
    weights = {name: weight / sum(mix.values()) for name, weight in mix.items()}
    mean = sum(weight * classes[name]["mean"] for name, weight in weights.items())
    # Weighted questions are worth fewer (Kish 1965).
    n = 1 / sum(weight**2 / classes[name]["n"] for name, weight in weights.items())
    ours, published = ((x, *wilson_interval(x * m, m)) for x, m in ((mean, n), (theirs, their_n)))
    low, high = newcombe_interval(ours, published)
    return {
        "mean": mean,
        "n": sum(classes[name]["n"] for name in mix),
        "difference": mean - theirs,
        "difference_low": low,
        "difference_high": high,
        "differs": not low <= 0 <= high,
    }
