from tracekd.generation.drafts import Drafter, Recollection


def recollection(*sequences):
    taught = Recollection()
    for tokens in sequences:
        taught.extend(tokens, new=True)
    return taught


def test_what_followed_the_last_tokens_in_the_prompt_is_guessed():
    drafter = Drafter([1, 2, 3, 4, 5, 6, 7], Recollection())
    drafter.hear([2, 3])
    assert drafter.guess(3) == [4, 5, 6]
    assert drafter.guess(6) == [4, 5, 6, 7, 2, 3]
    assert drafter.guess(0) == []


def test_a_guess_may_run_in_circles_up_to_its_limit():
    drafter = Drafter([1, 2, 1, 2], Recollection())
    drafter.hear([1, 2])
    assert drafter.guess(5) == [1, 2, 1, 2, 1]


def test_one_token_is_too_little_to_go_by():
    drafter = Drafter([1, 2, 3, 4], Recollection())
    drafter.hear([9, 3])
    assert drafter.guess(3) == []


def test_longer_context_wins_and_then_the_prompt_before_what_was_taught():
    taught = recollection([5, 1, 2, 77], [1, 2, 88])
    drafter = Drafter([6, 1, 2, 66], taught)
    drafter.hear([5, 1, 2])
    assert drafter.guess(1) == [77]
    other = Drafter([6, 1, 2, 66], taught)
    other.hear([4, 1, 2])
    assert other.guess(1) == [66]


def test_guess_ends_where_what_was_seen_disagrees():
    often, seldom = [1, 2, 3, 4], [1, 2, 5, 6]
    for sequences, expected in (
        ([often] * 4 + [seldom], [3, 4]),  # 4 of 5 times
        ([often] * 2 + [seldom], []),  # 2 of 3 times
        ([often] * 8 + [[1, 2, 3, 7]], [3, 4]),
        ([often] * 4 + [[1, 2, 3, 7], seldom], [3]),  # 5 of 6, then 4 of 5 of these
    ):
        drafter = Drafter([], recollection(*sequences))
        drafter.hear([1, 2])
        assert drafter.guess(9) == expected


def test_beginning_of_an_answer_is_known_from_others_and_guesses_end_with_them():
    taught = recollection([7, 8, 5], [7, 8, 5])
    drafter = Drafter([1, 2], taught)
    drafter.hear([7])
    assert drafter.guess(9) == [8, 5]
    drafter.hear([8])
    assert drafter.guess(9) == [5]


def test_tokens_said_are_remembered_too():
    drafter = Drafter([0], Recollection())
    drafter.hear([1, 2, 3, 4])
    drafter.hear([1, 2])
    assert drafter.guess(2) == [3, 4]
