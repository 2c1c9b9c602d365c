from itertools import combinations

import polars as pl
import pytest

from tracekd.scoring.samples import figures, pass_at


def table(*rows):
    """The scores of one sample: (answer, right, trace right) of each question."""
    columns = ("answer", "answer_correct", "trace_correct")
    made = [dict(zip(columns, row, strict=True)) | {"id": f"q{n}"} for n, row in enumerate(rows)]
    return pl.DataFrame(made)


@pytest.mark.parametrize(("right", "samples"), [(0, 4), (1, 4), (3, 5), (4, 4)])
def test_pass_at_k_is_the_share_of_all_choices_of_k_samples_that_hold_a_right_one(right, samples):
    verdicts = [True] * right + [False] * (samples - right)
    for k in range(1, samples + 1):
        chosen = list(combinations(verdicts, k))
        assert pass_at(k, right, samples) == pytest.approx(sum(map(any, chosen)) / len(chosen))


SAMPLES = [
    table(("Home.", True, True), ("park", False, True), (None, False, False), ("a", False, False)),
    table(("inn", False, True), ("park", False, False), (None, False, False), ("b", True, True)),
    table(("home", True, True), ("home", True, False), ("home", True, True), ("c", False, False)),
]


def test_majority_votes_count_answers_and_the_first_of_equally_frequent_ones_wins():
    found = figures(SAMPLES, ["facts"], "all")
    # home of home, inn, home; park; home, the only one that could be read; a, the first of three.
    assert found["answer"]["majority"] == 2 / 4
    assert 0 < found["answer"]["majority_low"] < 0.5 < found["answer"]["majority_high"] < 1
    assert (found["n"], found["answer"]["accuracy"]) == (3, 5 / 12)
    # Right samples of each question: 2, 1, 1, 1 of 3.
    pairs = (1 + 3 * 2 / 3) / 4
    assert found["answer"]["pass_at"] == pytest.approx({"1": 5 / 12, "2": pairs, "3": 1.0})
    assert found["trace"]["accuracy"] == 6 / 12


def test_without_steps_there_are_no_traces_and_unread_answers_do_not_vote():
    unread = table((None, False, None))
    found = figures([unread, unread], [], "all")
    assert "trace" not in found
    assert found["answer"]["majority"] == 0


def test_the_order_of_a_list_splits_no_votes():
    lists = [table((text, True, None)) for text in ("a; b", "b; a", "a, b")]
    others = [table(("c", False, None))] * 2
    assert figures(lists + others, [], "all")["answer"]["majority"] == 1
    # Alternatives are not a list: "b, a" is another text than "a, b".
    assert figures(others + lists, [], "any")["answer"]["majority"] == 0
