"""Each claim is decided by its rule, never by a point estimate."""

import pytest

from tracekd.comparison.claims import CLAIMS, judge_all, overall
from tracekd.statistics.values import Undefined

NONE = Undefined("no trace is right")


def estimate(low, high):
    value = low if isinstance(low, Undefined) else (low + high) / 2
    return {"value": value, "low": low, "high": high}


def cell(share=(0.2, 0.4), link=(-0.2, 0.2), chi_square=(1.0,), hurt=(-0.1, 0.1, 0.5), seeds=None):
    section = {
        "both_right": estimate(*share),
        "p_answer_if_right": estimate(*share),
        "risk_difference": estimate(*link),
        "by_seed": {str(seed): {"chi_square": value} for seed, value in enumerate(chi_square)},
    }
    low, high, p_holm = hurt
    effect = {"difference": (low + high) / 2, "low": low, "high": high, "p_holm": p_holm}
    effect["over_seeds"] = {"low": low, "high": high} if seeds is None else seeds
    return {
        "regimes": {"correct": {"link": section}, "incorrect": {}},
        "paired": {"incorrect - correct": effect},
    }


@pytest.mark.parametrize(
    ("share", "verdict"),
    [
        ((0.24, 0.32), "supports"),
        ((0.20, 0.32), "cannot decide"),
        ((0.32, 0.40), "cannot decide"),
        ((0.34, 0.40), "contradicts"),
        ((0.10, 0.22), "contradicts"),
        ((NONE, NONE), "cannot decide"),
    ],
)
@pytest.mark.parametrize("name", ["28_percent_of_questions", "28_percent_of_right_traces"])
def test_28_percent(name, share, verdict):
    assert CLAIMS[name].judge(cell(share=share))[0] == verdict


@pytest.mark.parametrize(
    ("link", "chi_square", "verdict"),
    [
        ((0.2, 0.5), (30.0,), "contradicts"),
        ((-0.5, -0.2), (30.0,), "contradicts"),
        ((0.2, 0.5), (30.0, 3.0, 2.0), "cannot decide"),
        ((0.2, 0.5), (30.0, 30.0, 2.0), "contradicts"),
        ((-0.05, 0.09), (0.5,), "supports"),
        ((0.01, 0.09), (4.0,), "contradicts"),
        ((-0.05, 0.3), (3.0,), "cannot decide"),
        ((NONE, NONE), (NONE,), "cannot decide"),
    ],
)
def test_independence(link, chi_square, verdict):
    judged = CLAIMS["nearly_independent"].judge(cell(link=link, chi_square=chi_square))
    assert judged[0] == verdict


@pytest.mark.parametrize(
    ("hurt", "verdict"),
    [
        ((-0.3, -0.1, 0.001), "contradicts"),
        ((-0.3, -0.1, 0.2), "cannot decide"),
        ((-0.3, 0.1, 0.4), "cannot decide"),
        ((-0.04, 0.1, 0.4), "supports"),
        ((-0.04, 0.04, Undefined("the two agree on every question")), "supports"),
    ],
)
def test_harm(hurt, verdict):
    claim = CLAIMS["incorrect_does_not_consistently_hurt"]
    assert claim.judge(cell(hurt=hurt))[0] == verdict


def test_harm_is_read_from_the_pair_the_other_way_round_too():
    results = cell(hurt=(0.1, 0.3, 0.001))
    results["paired"] = {"correct - incorrect": results["paired"]["incorrect - correct"]}
    verdict, because = CLAIMS["incorrect_does_not_consistently_hurt"].judge(results)
    assert verdict == "contradicts"
    assert (
        because
        == "incorrect - correct -20.0 (-30.0 to -10.0), p (Holm) 0.001; across seeds -30.0 to -10.0"
    )


@pytest.mark.parametrize("ends", [(-0.6, 0.2), (NONE, NONE)])
def test_harm_is_not_claimed_from_one_unlucky_seed(ends):
    claim = CLAIMS["incorrect_does_not_consistently_hurt"]
    results = cell(hurt=(-0.3, -0.1, 0.001), seeds={"low": ends[0], "high": ends[1]})
    assert claim.judge(results)[0] == "cannot decide"


def test_a_cell_without_the_regime_cannot_decide():
    for claim in CLAIMS.values():
        assert claim.judge({"regimes": {"none": {}}, "paired": {}})[0] == "cannot decide"


def test_verdicts_of_cells_are_combined():
    for_it, against, silent = "supports", "contradicts", "cannot decide"
    assert overall([for_it, silent], universal=True) == for_it
    assert overall([against, silent], universal=True) == against
    assert overall([against, for_it], universal=True) == silent
    assert overall([], universal=True) == silent
    assert overall([against, for_it], universal=False) == for_it
    assert overall([against], universal=False) == silent
    assert overall([against, against, silent], universal=False) == against


def test_every_claim_has_its_rule_and_a_verdict_for_each_cell():
    found = judge_all({"one": cell(), "two": cell(share=(0.5, 0.6))})
    assert set(found) == set(CLAIMS)
    first = found["28_percent_of_questions"]
    assert first["verdict"] == "contradicts"
    assert first["cells"]["one"] == {"verdict": "cannot decide", "because": "30.0 (20.0 to 40.0)"}
