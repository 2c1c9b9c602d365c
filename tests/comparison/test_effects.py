"""Paired comparisons of regimes, by hand."""

import numpy as np
import polars as pl
import pytest
from repository import experiment

from tracekd.comparison.effects import adjust, between_experiments, effect, pairs
from tracekd.comparison.locks import DosedRegime, Replicate
from tracekd.comparison.scores import CellScores, RegimeScores
from tracekd.statistics.crossed import crossed
from tracekd.statistics.values import Undefined

NONE, CORRECT = DosedRegime("none"), DosedRegime("correct")


def regime(**answers):
    seeds = tuple(Replicate(int(name[1:]), int(name[1:])) for name in answers)
    return RegimeScores(seeds, {"answer": np.array(list(answers.values()), dtype=float)})


def test_each_pair_is_compared_once_and_a_regime_with_doses_is_a_baseline_with_each():
    mixed = DosedRegime("mixed", 0.2)
    regimes = [NONE, CORRECT, mixed]
    expected = [(NONE, CORRECT), (NONE, mixed), (CORRECT, mixed)]
    assert pairs(regimes, ["none", "correct", "absent"]) == pairs(regimes, None) == expected
    assert pairs(regimes, ["mixed"]) == [(mixed, NONE), (mixed, CORRECT)]
    assert pairs(regimes, ["mixed 0.2"]) == pairs(regimes, ["mixed"])


def test_one_seed_is_compared_by_mcnemar_and_claims_nothing_about_regimes():
    before = regime(s0=[1] * 6 + [0] * 4)
    after = regime(s0=[1] * 5 + [0] + [1] * 3 + [0])
    found = effect(before, after, "k", 0.05)
    assert found["difference"] == pytest.approx(0.2)
    part = found["over_questions"]
    assert part["low"] < 0.2 < part["high"]
    seed = found["by_seed"]["0"]
    assert (seed["first_only"], seed["second_only"], seed["difference"]) == (1, 3, 0.2)
    assert seed["p_value"] == pytest.approx(2 * 5 / 16)
    reason = "1 seeds: fewer than 3 support no claim about regimes"
    assert found["low"] == found["p_value"] == Undefined(reason)


def test_several_seeds_are_crossed_with_questions():
    before = regime(s0=[1, 0, 0, 0], s1=[1, 0, 1, 0], s2=[0, 0, 0, 0])
    after = regime(s0=[1, 1, 1, 0], s1=[0, 1, 1, 1], s2=[0, 1, 1, 0])
    found = effect(before, after, "k", 0.05)
    table = crossed([[0, 1, 1, 0], [-1, 1, 0, 1], [0, 1, 1, 0]])
    assert found["difference"] == pytest.approx(5 / 12)
    low, high = table.interval()
    assert high > 1  # which no difference of shares is
    assert (found["low"], found["high"]) == (low, 1)
    assert found["p_value"] == table.p_value()
    # Means by question: -1/3, 1, 2/3, 1/3.
    part = found["over_questions"]
    assert -1 / 3 <= part["low"] < 5 / 12 < part["high"] <= 1
    assert list(found["by_seed"]) == ["0", "1", "2"]


def test_two_experiments_are_compared_over_questions_with_their_correlation():
    regimes = {NONE: regime(s0=[1, 1, 0, 0]), CORRECT: regime(s0=[1, 1, 1, 0])}
    used = [experiment("a", trace_mode="none"), experiment("b")]
    cell = CellScores(pl.Series(list("wxyz")), np.array(["where"] * 4), regimes, used)
    other = CellScores(pl.Series(list("wxy")), np.array(["where"] * 3), regimes, used[:1])
    ((name, found),) = between_experiments([cell, other]).items()
    assert (name, found["n"], found["second_only"]) == ("b - a", 4, 1)
    # 3/4 (0.3006 to 0.9544), 2/4 (0.1500 to 0.8500), correlation 0.5774.
    by_hand = pytest.approx((0.25, -0.1279, 0.5358), abs=1e-4)
    assert (found["difference"], found["low"], found["high"]) == by_hand


@pytest.mark.parametrize(
    ("after", "seeds", "difference"),
    [({"s1": [1, 0], "s2": [0, 0]}, ["1"], 0.5), ({"s2": [1, 1]}, [], 1 - 0.25)],
)
def test_only_shared_seeds_are_compared_or_all_if_none_is_shared(after, seeds, difference):
    found = effect(regime(s0=[1, 0], s1=[0, 0]), regime(**after), "k", 0.05)
    assert found["seeds"] == list(found["by_seed"]) == seeds
    assert found["difference"] == pytest.approx(difference)


def test_regimes_whose_seeds_all_agree_have_no_interval():
    ones, zeros = ([1] * 10 for _ in range(3)), ([0] * 10 for _ in range(3))
    wrong, right = (
        regime(**{f"s{seed}": row for seed, row in enumerate(rows)}) for rows in (zeros, ones)
    )
    for second in (wrong, right):
        found = effect(wrong, second, "k", 0.05)
        for name in ("low", "high", "p_value", "p_equivalent", "detectable"):
            assert found[name] == Undefined("all seeds agree on every question")
    assert found["difference"] == 1


def test_equal_differences_of_seeds_have_no_interval_over_seeds():
    for right in range(1, 220):
        rows = {f"s{n}": [1] * right + [0] * (220 - right) for n in range(3)}
        found = effect(regime(**{name: [0] * 220 for name in rows}), regime(**rows), "k", 0.05)
        assert isinstance(found["over_seeds"]["p_value"], Undefined)


def test_holm_counts_the_comparisons_of_all_cells_that_have_a_p_value():
    nothing = Undefined("the two agree on every question")
    effects = [{"p_value": p, "p_equivalent": 0.5} for p in (0.01, nothing, 0.04, 0.03)]
    effects.append({"p_value": 0.9, "p_equivalent": 0.009})
    adjust(effects)
    adjusted = [effect["p_holm"] for effect in effects]
    assert adjusted.pop(1) == nothing
    assert adjusted == pytest.approx([0.04, 0.09, 0.09, 0.9])
    verdicts = [effect["verdict"] for effect in effects]
    assert verdicts == ["different", "undecided", "undecided", "undecided", "equivalent"]
