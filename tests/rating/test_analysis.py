import numpy as np
import polars as pl
import pytest
from raters import simulate, write

from tracekd.rating.analysis import alpha, analyse
from tracekd.rating.exports import read_exports
from tracekd.statistics.values import Undefined

TYPES = ["correct", "incorrect"]


def table(values):
    """Ratings of one item: rows are raters, columns traces, type after type; None is no rating."""
    return pl.DataFrame(
        [
            {"rater": f"r{rater}", "trace": f"t{place}", "question": f"q{place % (len(row) // 2)}"}
            | {"type": TYPES[place * 2 // len(row)], "item": "ease", "value": value}
            for rater, row in enumerate(values)
            for place, value in enumerate(row)
            if value is not None
        ]
    )


def test_alpha_is_that_of_krippendorffs_example():
    # Krippendorff, Computing Krippendorff's Alpha-Reliability, 2011, section C: ordinal 0.815.
    coders = [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, None, None, None],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, None, 3],
        [None, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, None],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, None],
    ]
    assert alpha(table(coders)) == pytest.approx(0.815, abs=5e-4)


def test_alpha_is_1_in_agreement_and_undefined_without_any_pair():
    assert alpha(table([[1, 5], [1, 5]])) == 1
    for lonely in ([[1, 5]], [[1, None], [None, 5]], [[3, 3], [3, 3]]):
        assert isinstance(alpha(table(lonely)), Undefined)


def test_means_are_clustered_by_rater_and_question():
    # Each rater has one opinion: the mean is one of four numbers, not of sixteen. Its variance is
    # their squared deviations / 4^2, x 4/3 for four clusters, x 31/30 for 32 ratings and two means.
    values = [[rater] * 8 for rater in (1, 2, 4, 5)]
    found = analyse(table(values), ["ease"], TYPES)["ease"]["types"]["correct"]
    error = np.sqrt((4 + 1 + 1 + 4) / 16 * 4 / 3 * 31 / 30)
    assert found["n"] == 16
    assert found["mean"] == 3
    assert found["high"] - 3 == pytest.approx(3.182446 * error, rel=1e-6)  # t, df 3


def test_what_cannot_be_estimated_has_a_reason():
    found = analyse(table([[1, 2, 4, 4]]), ["ease"], [*TYPES, "shuffled"])["ease"]
    assert found["types"]["shuffled"] == {"n": 0}
    assert found["types"]["correct"]["mean"] == 1.5
    assert isinstance(found["types"]["correct"]["low"], Undefined)
    others = analyse(table([[1, 2, 4, 4]]), ["ease"], ["shuffled", *TYPES])["ease"]["types"]
    assert "difference" not in others["incorrect"], "there is no rating of the first type"
    equal = analyse(table([[3] * 4] * 3), ["ease"], TYPES)["ease"]
    assert isinstance(equal["types"]["incorrect"]["difference"]["mean"], Undefined)
    assert isinstance(equal["variance"]["raters"], Undefined)


def test_the_mixed_model_covers_the_effects_of_a_simulated_study(key, tmp_path):
    means = {"": (3.7, 2.5), "mental_demand": (2.4, 2.4)}
    exports = simulate(key, 40, means=means, spread=(0.5, 0.3))
    ratings, _ = read_exports(write(exports, tmp_path / "exports"), key)
    items = [item["name"] for item in key["settings"]["items"]]
    figures = analyse(ratings, items, TYPES)
    variances = [found["variance"] for found in figures.values()]
    assert np.mean([one["raters"] for one in variances]) == pytest.approx(0.25, abs=0.08)
    assert np.mean([one["questions"] for one in variances]) == pytest.approx(0.09, abs=0.08)
    for item, found in figures.items():
        first, second = means.get(item, means[""])
        kinds = found["types"]
        for how in ("difference", "clustered"):
            assert kinds["incorrect"][how]["low"] < second - first < kinds["incorrect"][how]["high"]
        assert kinds["correct"]["low"] < first < kinds["correct"]["high"]
        assert kinds["incorrect"]["difference"]["high"] - second + first < 0.25
        assert (kinds["incorrect"]["difference"]["p_value"] < 0.001) == (first != second)
