"""Each claim is decided by its rule, never by a point estimate."""

import pytest

from tracekd.comparison.claims import CLAIMS, judge_all, overall
from tracekd.statistics.values import Undefined

NONE = Undefined("no trace is right")


def estimate(low, high):
    value = low if isinstance(low, Undefined) else (low + high) / 2
    return {"mean": value, "low": low, "high": high}


def cell(share=(0.2, 0.4), link=(-0.2, 0.2), seeds=3, hurt=(-0.1, 0.1, 0.5)):
    section = {
        "both_right": estimate(*share),
        "p_answer_if_right": estimate(*share),
        "risk_difference": estimate(*link),
        "by_seed": {str(seed): {} for seed in range(seeds)},
    }
    low, high, p_holm = hurt
    effect = {"difference": estimate(low, high)["mean"], "low": low, "high": high}
    effect["p_holm"] = p_holm
    return {
        "regimes": {"correct": {"link": section}, "incorrect": {}},
        "paired": {"incorrect - correct": effect},
    }


QUESTIONS, TRACES = "28_percent_of_questions", "28_percent_of_right_traces"
INDEPENDENT, HARM = "nearly_independent", "incorrect_does_not_consistently_hurt"
AGREE = Undefined("the two agree on every question")
FEW = Undefined("1 seeds: fewer than 3 support no claim about regimes")


@pytest.mark.parametrize(
    ("name", "figures", "expected"),
    [
        *[
            (name, {"share": share}, expected)
            for name in (QUESTIONS, TRACES)
            for share, expected in [
                ((0.24, 0.32), "supports"),
                ((0.20, 0.32), "cannot decide"),
                ((0.32, 0.40), "cannot decide"),
                ((0.34, 0.40), "contradicts"),
                ((0.10, 0.22), "contradicts"),
                ((NONE, NONE), "cannot decide"),
            ]
        ],
        *[
            (name, {"share": (0.10, 0.22), "link": (0.2, 0.5), "seeds": 2}, "cannot decide")
            for name in (QUESTIONS, TRACES, INDEPENDENT)
        ],
        (INDEPENDENT, {"link": (0.2, 0.5)}, "contradicts"),
        (INDEPENDENT, {"link": (-0.5, -0.2)}, "contradicts"),
        (INDEPENDENT, {"link": (-0.05, 0.09)}, "supports"),
        (INDEPENDENT, {"link": (0.01, 0.09)}, "contradicts"),
        (INDEPENDENT, {"link": (-0.05, 0.3)}, "cannot decide"),
        (INDEPENDENT, {"link": (NONE, NONE)}, "cannot decide"),
        (HARM, {"hurt": (-0.3, -0.1, 0.001)}, "contradicts"),
        (HARM, {"hurt": (-0.3, -0.1, 0.2)}, "cannot decide"),
        (HARM, {"hurt": (-0.3, 0.1, 0.4)}, "cannot decide"),
        (HARM, {"hurt": (-0.04, 0.1, 0.4)}, "supports"),
        (HARM, {"hurt": (-0.04, 0.04, AGREE)}, "supports"),
        (HARM, {"hurt": (FEW, FEW, FEW)}, "cannot decide"),
    ],
)
def test_each_claim_is_decided_by_its_intervals_and_tests(name, figures, expected):
    assert CLAIMS[name].judge(cell(**figures))[0] == expected


def test_harm_is_read_from_the_pair_the_other_way_round_too():
    results = cell(hurt=(0.1, 0.3, 0.001))
    results["paired"] = {"correct - incorrect": results["paired"]["incorrect - correct"]}
    judged, because = CLAIMS[HARM].judge(results)
    assert judged == "contradicts"
    assert because.startswith("incorrect - correct -20.0 (-30.0 to -10.0), p (Holm) 0.001")


def test_a_cell_without_the_regime_cannot_decide():
    for claim in CLAIMS.values():
        assert claim.judge({"regimes": {"none": {}}, "paired": {}})[0] == "cannot decide"


def test_verdicts_of_cells_are_combined():
    for_it, against, silent = "supports", "contradicts", "cannot decide"
    assert overall([for_it, silent], universal=True) == for_it
    assert overall([against, silent], universal=True) == against
    assert overall([against, for_it], universal=True) == against
    assert overall([], universal=True) == silent
    assert overall([against, for_it], universal=False) == for_it
    assert overall([against], universal=False) == silent
    assert overall([against, against, silent], universal=False) == against


def test_every_claim_has_its_rule_and_a_verdict_for_each_cell():
    found = judge_all({"one": cell(), "two": cell(share=(0.5, 0.6))})
    assert set(found) == set(CLAIMS)
    first = found["28_percent_of_questions"]
    assert first["verdict"] == "contradicts"
    assert first["cells"]["one"]["verdict"] == "cannot decide"
