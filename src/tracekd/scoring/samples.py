"""Several samples per question -> majority vote, pass@k, share of right answers and traces."""

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from math import comb
from typing import Any, Literal

import polars as pl

from tracekd.scoring.answers import answer_key
from tracekd.scoring.association import taught_sections
from tracekd.statistics.intervals import wilson_interval
from tracekd.traces.lenient import answer_items
from tracekd.traces.regimes import Step


def report(
    predictions: pl.DataFrame,
    score: Callable[[pl.DataFrame], pl.DataFrame],
    steps: Collection[Step],
    answers: Literal["all", "any"],
) -> dict[str, Any]:
    """Return the section `samples` of details.json, if `predictions` has several per question.

    `score` makes the table of scores of one prediction per question.
    """
    samples = predictions.sort("sample", maintain_order=True).partition_by("sample")
    if len(samples) < 2:
        return {}
    return {"samples": figures(list(map(score, samples)), steps, answers)}


def figures(
    scores: Sequence[pl.DataFrame], steps: Collection[Step], answers: Literal["all", "any"]
) -> dict[str, Any]:
    """Return what all samples together show; docs/prompts.md explains each figure.

    Args:
        scores: the table of scores of each sample, of the same questions in the same order.
        steps: the steps that the regime teaches.
        answers: whether the items of an answer make it together, or are alternatives.
    """
    votes = pl.concat(scores).group_by("id", maintain_order=True)
    won = [
        _majority(rows["answer"].to_list(), rows["answer_correct"].to_list(), answers)
        for _, rows in votes
    ]
    low, high = wilson_interval(sum(won), len(won))
    majority = {"majority": sum(won) / len(won), "majority_low": low, "majority_high": high}
    section: dict[str, Any] = {
        "n": len(scores),
        "answer": {**_shares(scores, "answer_correct"), **majority},
    }
    if "trace" in taught_sections(steps):
        section["trace"] = _shares(scores, "trace_correct")
    return section


def pass_at(k: int, right: int, samples: int) -> float:
    """Return the chance that k of `samples` samples, `right` of them right, hold a right one.

    The unbiased estimator 1 - C(samples - right, k) / C(samples, k) (Chen et al. 2021,
    arXiv 2107.03374).
    """
    return 1 - comb(samples - right, k) / comb(samples, k)


def _shares(scores: Sequence[pl.DataFrame], verdict: str) -> dict[str, Any]:
    n = len(scores)
    right = list(map(sum, zip(*(table[verdict] for table in scores), strict=True)))
    sizes = sorted({*(1 << power for power in range(n.bit_length())), n})
    passed: Mapping[str, float] = {
        str(k): sum(pass_at(k, count, n) for count in right) / len(right) for k in sizes
    }
    return {"accuracy": sum(right) / (n * len(right)), "pass_at": passed}


def _majority(
    texts: Sequence[str | None], right: Sequence[bool], answers: Literal["all", "any"]
) -> bool:
    """Return whether the most frequent answer is right; of equally frequent ones, the first.

    Answers are the same if their items are. A sample without an answer has no vote.
    """
    keys = [None if text is None else answer_key(answer_items(text), answers) for text in texts]
    votes = Counter(key for key in keys if key is not None)
    return bool(votes) and bool(right[keys.index(max(votes, key=votes.__getitem__))])
