import pytest

from tracekd.generation.drafts import Drafter, count_followers


def followers(examples):
    counts = {}
    for tokens in examples:
        count_followers(counts, tokens)
    return counts


@pytest.mark.parametrize(
    ("most", "row", "examples", "expected"),
    [
        # What followed the last tokens before, up to the limit, if need be in circles.
        (3, [1, 2, 3, 4, 5, 6, 7, 2, 3], [], [4, 5, 6]),
        (6, [1, 2, 3, 4, 5, 6, 7, 2, 3], [], [4, 5, 6, 7, 2, 3]),
        (0, [1, 2, 3, 4, 5, 6, 7, 2, 3], [], []),
        (5, [1, 2, 1, 2, 1, 2], [], [1, 2, 1, 2, 1]),
        # One token is too short a context.
        (3, [1, 2, 3, 4, 9, 3], [], []),
        # A longer context wins, and then the row before the examples.
        (1, [6, 1, 2, 66, 5, 1, 2], [[5, 1, 2, 77], [1, 2, 88]], [77]),
        (1, [6, 1, 2, 66, 4, 1, 2], [[5, 1, 2, 77], [1, 2, 88]], [66]),
        (1, [4, 1, 2], [[1, 2, 88]], [88]),
        # A guess ends where what followed before disagrees: 4 of 5 times, 2 of 3 times, and
        # 5 of 6, then 4 of 5 of these.
        (9, [0, 1, 2], [[1, 2, 3, 4]] * 4 + [[1, 2, 5, 6]], [3, 4]),
        (9, [0, 1, 2], [[1, 2, 3, 4]] * 2 + [[1, 2, 5, 6]], []),
        (9, [0, 1, 2], [[1, 2, 3, 4]] * 4 + [[1, 2, 3, 7], [1, 2, 5, 6]], [3]),
    ],
)
def test_a_guess_is_what_followed_the_longest_context_before(most, row, examples, expected):
    assert Drafter(row, followers(examples)).guess(most) == expected


def test_added_tokens_are_read_too_and_examples_are_sequences_of_their_own():
    drafter = Drafter([0], followers([[5, 6], [7, 8]]))
    drafter.add([1, 2, 3, 4])
    drafter.add([1, 2])
    assert drafter.guess(2) == [3, 4]
    drafter.add([5, 6])
    assert drafter.guess(2) == []
