"""Association over seeds that answer the same questions."""

import numpy as np
import pytest

from tracekd.statistics.association import count, risk_difference
from tracekd.statistics.clustered import difference, difference_slope, share
from tracekd.statistics.intervals import wilson_interval
from tracekd.statistics.stratified import stratified
from tracekd.statistics.values import Undefined


def drawn(rng, seeds, effect=0.0, questions=220):
    """Traces and answers; questions differ in how hard either is, and seeds in how good."""
    hard, harder = rng.normal(-1.5, 1.5, questions), rng.normal(-1, 1.5, questions)
    good = rng.normal(0, 0.5, (seeds, 1))
    trace = rng.random((seeds, questions)) < 1 / (1 + np.exp(-hard - good))
    odds = harder + good + effect * trace
    return trace, rng.random((seeds, questions)) < 1 / (1 + np.exp(-odds))


def test_with_one_seed_the_intervals_are_wilsons_and_newcombes():
    trace = np.array([[1] * 8 + [0] * 12])
    answer = np.array([[1] * 6 + [0] * 2 + [1] * 3 + [0] * 9])
    found = share(answer, trace, "none")
    assert tuple(found.values()) == pytest.approx((0.75, *wilson_interval(6, 8)))
    found = difference(trace, answer)
    expected = risk_difference(count(trace[0], answer[0]))
    assert (found["mean"], found["low"], found["high"]) == pytest.approx(expected)


def test_with_one_seed_the_test_is_cochrans_mantels_and_haenszels():
    trace, answer = drawn(np.random.default_rng(0), 1)
    classes = np.arange(220) % 3
    strata = [count(trace[0, classes == one], answer[0, classes == one]) for one in range(3)]
    expected, found = stratified(strata), difference(trace, answer, classes)
    assert found["p_value"] == pytest.approx(expected["p_value"])
    assert found["mean"] == pytest.approx(expected["risk_difference"])


def test_a_seed_that_repeats_another_adds_no_certainty():
    trace, answer = drawn(np.random.default_rng(1), 1, effect=1.0)
    once = difference(trace, answer)
    again = difference(np.tile(trace, (5, 1)), np.tile(answer, (5, 1)))
    assert again["mean"] == pytest.approx(once["mean"])
    assert again["low"] <= once["low"] < once["high"] <= again["high"]
    assert again["p_value"] == pytest.approx(once["p_value"])


def test_the_error_is_that_of_resampled_questions_with_all_their_seeds():
    rng = np.random.default_rng(2)
    trace, answer = drawn(rng, 4, effect=1.0)
    found = difference(trace, answer)
    resampled = []
    for _ in range(500):
        some = rng.integers(220, size=220)
        strata = [count(*one) for one in zip(trace[:, some], answer[:, some], strict=True)]
        resampled.append(stratified(strata)["risk_difference"])
    half = (found["high"] - found["low"]) / 2
    assert half == pytest.approx(1.96 * np.std(resampled), rel=0.1)


def test_good_seeds_or_easy_classes_alone_make_no_difference():
    # In each seed, trace and answer are independent; the second seed is better at both.
    trace = np.array([[1, 1, 0, 0, 0, 0, 0, 0] * 8, [1, 1, 1, 1, 1, 1, 0, 0] * 8])
    answer = np.array([[1, 0, 1, 0, 1, 0, 1, 0] * 8, [1] * 64])
    assert risk_difference(count(trace.ravel(), answer.ravel()))[0] == pytest.approx(0.25)
    found = difference(trace, answer)
    assert (found["mean"], found["p_value"]) == (pytest.approx(0), pytest.approx(1))
    classes = np.repeat([0, 1], 64)
    found = difference(trace.reshape(1, -1), answer.reshape(1, -1), classes)
    assert (found["mean"], found["p_value"]) == (pytest.approx(0), pytest.approx(1))


def test_more_seeds_find_an_association_more_often_and_none_more_rarely():
    rng = np.random.default_rng(3)
    alarms, power = {}, {}
    for seeds in (1, 3):
        none = [difference(*drawn(rng, seeds)) for _ in range(300)]
        some = [difference(*drawn(rng, seeds, effect=0.8)) for _ in range(100)]
        alarms[seeds] = np.mean([not one["low"] <= 0 <= one["high"] for one in none])
        power[seeds] = np.mean([one["p_value"] < 0.05 for one in some])
    assert max(alarms.values()) <= 0.08
    assert power[1] < 0.6 < 0.7 < power[3]


def test_a_share_of_several_seeds_has_an_interval_over_seeds_too():
    questions = np.arange(100)
    chosen = np.ones((3, 100), dtype=bool)
    quiet = np.tile(questions < 50, (3, 1))
    noisy = np.stack([questions < 20, questions < 50, questions < 80])
    narrow, wide = (share(table, chosen, "none") for table in (quiet, noisy))
    assert narrow["mean"] == wide["mean"] == 0.5
    assert wide["high"] - wide["low"] > 2 * (narrow["high"] - narrow["low"])


def test_verdicts_that_all_agree_have_an_interval_with_a_width():
    chosen = np.zeros((2, 50), dtype=bool)
    chosen[:, :6] = True
    found = share(np.ones((2, 50)), chosen, "none")
    assert (found["mean"], found["low"], found["high"]) == (1, *wilson_interval(6, 6))
    nothing = share(np.ones((2, 50)), np.zeros((2, 50)), "no trace is right")
    assert set(nothing.values()) == {Undefined("no trace is right")}


@pytest.mark.parametrize("seeds", [2, 3])
def test_one_question_with_a_right_trace_says_next_to_nothing(seeds):
    trace, answer = np.zeros((seeds, 50), dtype=bool), np.zeros((seeds, 50), dtype=bool)
    trace[:2, 7] = answer[0, 7] = True
    found = share(answer, trace, "none")
    assert found["mean"] == 0.5
    assert 0 <= found["low"] < 0.05 < 0.95 < found["high"] <= 1


def test_few_right_traces_have_no_difference():
    trace, answer = np.zeros((2, 50)), np.zeros((2, 50))
    trace[:, :4] = answer[:, :9] = 1
    reason = Undefined("4 questions with a right step: fewer than 5")
    assert set(difference(trace, answer).values()) == {reason}
    reason = Undefined("4 questions with a wrong step: fewer than 5")
    assert set(difference(1 - trace, answer).values()) == {reason}


def test_the_slope_of_the_difference_by_hand():
    def verdicts(both):
        """Of 20 right traces, `both` have right answers; of 20 wrong ones, five."""
        trace, answer = np.zeros((1, 40), dtype=bool), np.zeros((1, 40), dtype=bool)
        trace[0, :20] = answer[0, :both] = answer[0, 20:25] = True
        return trace, answer

    few = verdicts(15)[0] & False, verdicts(15)[1]
    doses = {0.0: verdicts(15), 0.5: verdicts(12), 1.0: verdicts(5)}
    found = difference_slope({**doses, 0.75: few})
    assert found["slope"] == pytest.approx(0 / 20 - 10 / 20)
    assert found["low"] < -0.5 < found["high"]
    assert isinstance(difference_slope({**doses, 1.0: few})["slope"], Undefined)


def test_the_slope_over_doses_covers_no_trend():
    rng = np.random.default_rng(5)
    covered = []
    for _ in range(300):
        doses = {}
        hard = rng.normal(0, 1, 100)
        for dose in (0.0, 0.25, 0.5, 1.0):
            trace = rng.random((1, 100)) < 0.4
            chance = 1 / (1 + np.exp(-hard - trace))
            doses[dose] = trace, rng.random((1, 100)) < chance
        found = difference_slope(doses)
        covered.append(found["low"] <= 0 <= found["high"])
    assert 0.925 <= np.mean(covered) <= 0.985


def test_a_slope_has_a_width_where_every_answer_follows_its_trace():
    trace = np.array([[1] * 30 + [0] * 30], dtype=bool)
    found = difference_slope(dict.fromkeys((0.0, 0.5, 1.0), (trace, trace)))
    assert found["slope"] == pytest.approx(0)
    assert found["low"] < -0.05 < 0.05 < found["high"]
