"""The effect of a regime on the answers: paired comparisons on the same questions."""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from itertools import combinations, product
from typing import Any

import numpy as np

from tracekd.comparison.locks import DosedRegime
from tracekd.comparison.scores import CellScores, Matrix, RegimeScores
from tracekd.statistics import bootstrap, paired
from tracekd.statistics.association import count
from tracekd.statistics.crossed import crossed, detectable, interval_and_p
from tracekd.statistics.intervals import newcombe_interval, wilson_interval
from tracekd.statistics.paired import ALPHA, change_interval, over_seeds
from tracekd.statistics.values import Tree, Undefined, Value

#: The regimes that every other one is compared with by default.
BASELINES = ("none", "correct")
#: The largest difference in accuracy that counts as none by default.
MARGIN = 0.05


def pairs(
    regimes: Iterable[DosedRegime], baselines: Sequence[str] | None
) -> list[tuple[DosedRegime, DosedRegime]]:
    """Return (baseline, regime) for every comparison, each pair once; all without baselines."""
    ordered = list(regimes)
    if baselines is None:
        return list(combinations(ordered, 2))
    found: list[tuple[DosedRegime, DosedRegime]] = []
    for name, baseline, other in product(baselines, ordered, ordered):
        named = name in (baseline.regime, baseline.label)
        if named and other != baseline and not {(baseline, other), (other, baseline)} & {*found}:
            found.append((baseline, other))
    return found


def effect(
    first: RegimeScores, second: RegimeScores, key: str, margin: float, measure: str = "answer"
) -> dict[str, Any]:
    """Return the difference in a measure, second - first (the baseline), on the same questions.

    Uses the replicates that both have (all, if they share none). The interval and p-value are
    crossed: questions and seeds both vary (`statistics.crossed`). They need three seeds; fewer
    support no claim about regimes. The parts hold one of the two fixed: `over_questions` describes
    these trained models on other questions, `over_seeds` other models on these questions.

    `key` seeds the bootstrap; `margin` is the largest difference that counts as none.
    """
    shared = [one for one in first.replicates if one in second.replicates]
    before, after = (one.rows(measure, shared or one.replicates) for one in (first, second))
    differences = after - before if shared else np.empty((0, before.shape[1]))
    changes = after.mean(axis=0) - before.mean(axis=0)
    over_questions = change_interval(changes, bootstrap.generator("compare", key))
    found = crossed(differences)
    power: Tree = dict.fromkeys(("p_equivalent", "detectable"), found)
    if not isinstance(found, Undefined):
        power = {
            "p_equivalent": found.equivalence_p_value(margin),
            "detectable": detectable(found.components, found.seeds, found.questions),
            "components": asdict(found.components),
        }
    return {
        "seeds": [one.label for one in shared],
        "n": before.shape[1],
        "difference": float(changes.mean()),
        **_within_bounds(interval_and_p(found)),
        **power,
        "over_questions": dict(zip(("low", "high"), over_questions, strict=True)),
        "over_seeds": over_seeds(differences.mean(axis=1)),
        "by_seed": {
            one.label: _one_seed(before[row], after[row]) for row, one in enumerate(shared)
        },
    }


def between_experiments(cells: Iterable[CellScores]) -> dict[str, dict[str, Any]]:
    """Return "B - A" -> the difference in answer accuracy of every two experiments.

    They are two trained models, not two regimes: the interval is over questions alone (Newcombe's,
    with the correlation of the two: Zou and Donner 2008), and the p-value that of McNemar's exact
    test. Experiments with different questions are not compared.
    """
    answers = []
    for scores in cells:
        for one in scores.used:
            (row,) = scores.regimes[one.run.regime].rows("answer", [one.run.replicate])
            answers.append((one.name, scores.ids, row))
    found: dict[str, dict[str, Any]] = {}
    for (first, ids, before), (second, other_ids, after) in combinations(answers, 2):
        if ids.equals(other_ids):
            low, high = _paired_interval(before, after)
            bounds = {"n": len(ids), "low": low, "high": high}
            found[f"{second} - {first}"] = {**bounds, **_one_seed(before, after)}
    return found


def _paired_interval(before: Matrix, after: Matrix) -> tuple[float, float]:
    n = len(before)
    second, first = (
        (float(row.mean()), *wilson_interval(float(row.sum()), n)) for row in (after, before)
    )
    both_vary = 0 < first[0] < 1 and 0 < second[0] < 1
    correlation = float(np.corrcoef(before, after)[0, 1]) if both_vary else 0.0
    return newcombe_interval(second, first, correlation)


def adjust(effects: Sequence[dict[str, Any]]) -> None:
    """Add `p_holm` and `verdict` to effects, which are one family of tests.

    A difference is `equivalent` to none if two one-sided tests, adjusted too, show it within the
    margin, `different` if it is significant and not equivalent, else `undecided`.
    """
    adjusted, equivalent = (
        paired.holm({str(place): one[name] for place, one in enumerate(effects)}).values()
        for name in ("p_value", "p_equivalent")
    )
    for one, p_holm, p_equivalent in zip(effects, adjusted, equivalent, strict=True):
        one["p_holm"] = p_holm
        if _below(p_equivalent):
            one["verdict"] = "equivalent"
        else:
            one["verdict"] = "different" if _below(p_holm) else "undecided"


def _within_bounds(found: Tree) -> Tree:
    """Cut the interval of a difference of shares to -1 to 1."""
    bounds = {
        end: max(-1.0, min(1.0, value))
        for end in ("low", "high")
        if not isinstance(value := found[end], Undefined)
    }
    return {**found, **bounds}


def _below(p_value: Value) -> bool:
    return not isinstance(p_value, Undefined) and p_value < ALPHA


def _one_seed(before: Matrix, after: Matrix) -> Tree:
    counts = count(before, after)
    return {
        "first_only": counts.right_wrong,
        "second_only": counts.wrong_right,
        "difference": (counts.wrong_right - counts.right_wrong) / sum(counts),
        "p_value": paired.mcnemar(counts),
    }
