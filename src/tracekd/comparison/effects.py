"""The effect of a regime on the answers: paired comparisons on the same questions."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tracekd.comparison.locks import DosedRegime
from tracekd.comparison.scores import RegimeScores
from tracekd.statistics import bootstrap, paired
from tracekd.statistics.association import count
from tracekd.statistics.paired import change_interval, detectable_mean, over_seeds, sign_flip_test
from tracekd.statistics.values import Tree

#: The regimes that every other one is compared with by default.
BASELINES = ("none", "correct")


def pairs(
    regimes: Iterable[DosedRegime], baselines: Sequence[str]
) -> list[tuple[DosedRegime, DosedRegime]]:
    """Return (baseline, regime) for every comparison, each pair once."""
    ordered = list(regimes)
    found: list[tuple[DosedRegime, DosedRegime]] = []
    for name in baselines:
        for baseline in ordered:
            if name in (baseline.regime, baseline.label):
                found += [
                    (baseline, other)
                    for other in ordered
                    if other != baseline and (other, baseline) not in found
                ]
    return found


def effect(first: RegimeScores, second: RegimeScores, key: str) -> dict[str, Any]:
    """Return the difference in answer accuracy, second - first, on the same questions.

    Uses the seeds that both have (all, if they share none), pooled by question: what is resampled
    and tested is each question's difference of its means over seeds. The interval is a paired
    bootstrap over questions (see `change_interval`). The test is McNemar's exact one, or with
    several seeds its generalisation to means, the exact sign-flip test. All of this holds the
    trained models fixed: it describes them on other questions. Only `over_seeds` describes other
    seeds and so supports claims about regimes.
    """
    before, after, seeds = _shared(first, second)
    # Whole numbers: right answers over seeds, on a common denominator.
    denominator = len(before) * len(after)
    changes = after.sum(axis=0) * len(before) - before.sum(axis=0) * len(after)
    if len(before) == len(after):
        denominator, changes = len(before), changes // len(before)
    n = changes.size
    rng = bootstrap.generator("compare", key)
    low, high = change_interval(changes / denominator, rng)
    single = denominator == 1
    counts = count(before[0], after[0])
    return {
        "seeds": seeds,
        "n": n,
        "difference": float(changes.mean() / denominator),
        "low": low,
        "high": high,
        "test": "McNemar, exact" if single else "sign-flip, exact",
        "p_value": paired.mcnemar(counts) if single else sign_flip_test(changes),
        "detectable": (
            paired.detectable_difference(n, float(np.abs(changes).mean()))
            if single
            else detectable_mean(changes / denominator)
        ),
        "over_seeds": over_seeds((after - before).mean(axis=1) if seeds else np.empty(0)),
        "by_seed": {
            str(seed): _one_seed(before[row], after[row]) for row, seed in enumerate(seeds)
        },
    }


def adjust(effects: Sequence[dict[str, Any]]) -> None:
    """Add `p_holm` to effects, which are one family of tests."""
    adjusted = paired.holm({str(place): one["p_value"] for place, one in enumerate(effects)})
    for one, p_holm in zip(effects, adjusted.values(), strict=True):
        one["p_holm"] = p_holm


def _shared(
    first: RegimeScores, second: RegimeScores
) -> tuple[NDArray[np.int64], NDArray[np.int64], list[int]]:
    """Return both answers, (seeds, questions), and the seeds that they share."""
    seeds = [seed for seed in first.seeds if seed in second.seeds]
    rows = [
        scores.measures["answer"].astype(np.int64)[
            [scores.seeds.index(seed) for seed in seeds] if seeds else slice(None)
        ]
        for scores in (first, second)
    ]
    return rows[0], rows[1], seeds


def _one_seed(before: NDArray[np.int64], after: NDArray[np.int64]) -> Tree:
    counts = count(before, after)
    return {
        "first_only": counts.right_wrong,
        "second_only": counts.wrong_right,
        "difference": (counts.wrong_right - counts.right_wrong) / sum(counts),
        "p_value": paired.mcnemar(counts),
    }
