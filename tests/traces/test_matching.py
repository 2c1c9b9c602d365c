"""A teacher whose errors follow difficulty, and students that learn nothing but how often a class
was taught: the regimes differ only in their questions."""

import numpy as np
import polars as pl
import pytest
from test_taught import SPEC, params, questions, row, table

from tracekd.datasets.splits import draw
from tracekd.randomness import uniform
from tracekd.statistics.crossed import Crossed, crossed
from tracekd.traces.taught import taught_of, with_traces

CLASSES = [f"c{n}" for n in range(8)]
SEEDS = range(6)


def of_classes(split: str, count: int) -> pl.DataFrame:
    names = [f"{split}/{name}/{n}" for name in CLASSES for n in range(count)]
    classes = pl.Series("question_class", [name.split("/")[1] for name in names])
    return questions(*names).with_columns(classes)


SPLITS = {name: of_classes(name, count) for name, count in (("train", 60), ("test", 50))}
SPLITS["validation"] = of_classes("validation", 4)
#: The n-th class is as hard as n is large.
KEPT = [
    row(key, kept=uniform("teacher", key) < 0.95 - 0.12 * CLASSES.index(name))
    for split in ("train", "validation")
    for key, name in SPLITS[split].select("id", "question_class").iter_rows()
]


def answers(mode: str, seed: int, match: bool) -> list[float]:
    """Return which test questions a student gets right."""
    chosen = params(mode, match=match).model_copy(update={"seed": seed, "sample_size": 120})
    left = with_traces(SPLITS, taught_of(table(*KEPT), SPEC, seed), mode, chosen.teacher)
    sample, _ = draw(left["train"], chosen)
    taught = dict(sample["question_class"].value_counts().iter_rows())
    known = {name: taught.get(name, 0) / (taught.get(name, 0) + 5) for name in CLASSES}
    asked = left["test"].select("id", "question_class").iter_rows()
    return [float(uniform(mode, seed, key) < known[name]) for key, name in asked]


@pytest.mark.parametrize("match", [False, True])
def test_regimes_that_differ_in_their_questions_alone_are_equal_on_matched_sets(
    match: bool,
) -> None:
    gaps = [
        np.subtract(answers("teacher", seed, match), answers("correct", seed, match))
        for seed in SEEDS
    ]
    found = crossed(gaps)
    assert isinstance(found, Crossed)
    low, high = found.interval()
    assert (low <= 0 <= high) is match, (low, found.mean, high)
