import pytest

from tracekd.generation.drafts import Drafter, Followers


def guess(most, row, *examples):
    return Drafter(row, Followers(examples)).guess(most)


def test_what_followed_the_last_tokens_before_is_guessed():
    row = [1, 2, 3, 4, 5, 6, 7, 2, 3]
    assert guess(3, row) == [4, 5, 6]
    assert guess(6, row) == [4, 5, 6, 7, 2, 3]
    assert guess(0, row) == []


def test_a_guess_may_run_in_circles_up_to_its_limit():
    assert guess(5, [1, 2, 1, 2, 1, 2]) == [1, 2, 1, 2, 1]


def test_one_token_is_too_short_a_context():
    assert guess(3, [1, 2, 3, 4, 9, 3]) == []


def test_a_longer_context_wins_and_then_the_row_before_the_examples():
    examples = [5, 1, 2, 77], [1, 2, 88]
    assert guess(1, [6, 1, 2, 66, 5, 1, 2], *examples) == [77]
    assert guess(1, [6, 1, 2, 66, 4, 1, 2], *examples) == [66]
    assert guess(1, [4, 1, 2], [1, 2, 88]) == [88]


@pytest.mark.parametrize(
    ("examples", "expected"),
    [
        ([[1, 2, 3, 4]] * 4 + [[1, 2, 5, 6]], [3, 4]),  # 4 of 5 times
        ([[1, 2, 3, 4]] * 2 + [[1, 2, 5, 6]], []),  # 2 of 3 times
        ([[1, 2, 3, 4]] * 4 + [[1, 2, 3, 7], [1, 2, 5, 6]], [3]),  # 5 of 6, then 4 of 5 of these
    ],
)
def test_a_guess_ends_where_what_followed_before_disagrees(examples, expected):
    assert guess(9, [0, 1, 2], *examples) == expected


def test_added_tokens_are_read_too_and_examples_are_sequences_of_their_own():
    drafter = Drafter([0], Followers([[5, 6], [7, 8]]))
    drafter.add([1, 2, 3, 4])
    drafter.add([1, 2])
    assert drafter.guess(2) == [3, 4]
    drafter.add([5, 6])
    assert drafter.guess(2) == []
