"""Paired comparisons of regimes, by hand."""

import numpy as np
import pytest

from tracekd.comparison.effects import adjust, effect, pairs
from tracekd.comparison.locks import DosedRegime
from tracekd.comparison.scores import RegimeScores
from tracekd.statistics.values import Undefined


def regime(**answers):
    seeds = tuple(int(name[1:]) for name in answers)
    return RegimeScores(seeds, {"answer": np.array(list(answers.values()), dtype=float)})


def test_each_pair_is_compared_once_and_a_regime_with_doses_is_a_baseline_with_each():
    regimes = [DosedRegime("none"), DosedRegime("correct"), DosedRegime("mixed", 0.2)]
    none, correct, mixed = regimes
    expected = [(none, correct), (none, mixed), (correct, mixed)]
    assert pairs(regimes, ["none", "correct", "absent"]) == expected
    assert pairs(regimes, ["mixed"]) == [(mixed, none), (mixed, correct)]
    assert pairs(regimes, ["mixed 0.2"]) == pairs(regimes, ["mixed"])


def test_one_seed_is_compared_by_mcnemar():
    before = regime(s0=[1] * 6 + [0] * 4)
    after = regime(s0=[1] * 5 + [0] + [1] * 3 + [0])
    found = effect(before, after, "k")
    assert found["difference"] == pytest.approx(0.2)
    assert found["test"] == "McNemar, exact"
    assert found["p_value"] == pytest.approx(2 * 5 / 16)
    assert found["low"] < 0.2 < found["high"]
    seed = found["by_seed"]["0"]
    assert (seed["first_only"], seed["second_only"], seed["difference"]) == (1, 3, 0.2)


def test_several_seeds_are_pooled_by_question():
    before = regime(s0=[1, 0, 0, 0], s1=[1, 0, 1, 0])
    after = regime(s0=[1, 1, 1, 0], s1=[0, 1, 1, 1])
    found = effect(before, after, "k")
    # Differences of sums by question: -1, 2, 1, 1, of either sign with the same chance.
    signs = np.array(np.meshgrid(*[[-1, 1]] * 4)).reshape(4, -1)
    sums = np.abs(np.array([1, 2, 1, 1]) @ signs)
    assert found["difference"] == pytest.approx(3 / 8)
    assert found["test"] == "sign-flip, exact"
    assert found["p_value"] == pytest.approx(np.mean(sums >= 3))
    assert found["seeds"] == [0, 1]
    assert list(found["by_seed"]) == ["0", "1"]


@pytest.mark.parametrize(
    ("after", "seeds", "difference"),
    [({"s1": [1, 0], "s2": [0, 0]}, [1], 0.5), ({"s2": [1, 1]}, [], 1 - 0.25)],
)
def test_only_shared_seeds_are_compared_or_all_if_none_is_shared(after, seeds, difference):
    found = effect(regime(s0=[1, 0], s1=[0, 0]), regime(**after), "k")
    assert (found["seeds"], list(found["by_seed"])) == (seeds, [str(seed) for seed in seeds])
    assert found["difference"] == pytest.approx(difference)


def test_regimes_that_agree_still_have_an_interval():
    found = effect(regime(s0=[1] * 36), regime(s0=[1] * 36), "k")
    assert found["difference"] == 0
    assert (found["low"], found["high"]) == pytest.approx((-0.0974, 0.0974), abs=1e-3)
    assert isinstance(found["p_value"], Undefined)
    assert isinstance(found["detectable"], Undefined)


def test_holm_counts_the_comparisons_of_all_cells_that_have_a_p_value():
    nothing = Undefined("the two agree on every question")
    effects = [{"p_value": p} for p in (0.01, nothing, 0.04, 0.03)]
    adjust(effects)
    adjusted = [effect["p_holm"] for effect in effects]
    assert adjusted.pop(1) == nothing
    assert adjusted == pytest.approx([0.03, 0.06, 0.06])
