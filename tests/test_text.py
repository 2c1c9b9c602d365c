import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.text import contains_words, normalise, one_line, states_answer


@given(st.text())
def test_one_line_has_no_white_space_but_single_spaces(text: str) -> None:
    line = one_line(text)
    assert line == one_line(line)
    assert not any(sign.isspace() and sign != " " for sign in line)
    assert line.split(" ") == (text.split() or [""])


def test_the_normal_form_drops_case_and_ascii_punctuation() -> None:
    assert normalise(" The\n U.S. isn\u2019t\u00a0\u00c9COLE! ") == "the us isn\u2019t \u00e9cole"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("3.5", "35", False),
        ("-5", "5", False),
        ("1/2", "12", False),
        ("3:45", "345", False),
        ("It is 3.5.", "it is 3.5", True),
        ("1,200", "1200", True),
        ("well-known - 5 times", "wellknown 5 times", True),
    ],
)
def test_signs_of_numbers_are_no_punctuation(one: str, other: str, same: bool) -> None:
    assert (normalise(one) == normalise(other)) is same


@pytest.mark.parametrize(
    ("text", "words", "expected"),
    [
        ("it took 50 years", "5", False),
        ("it took 50 years", "50 years", True),
        ("not in the den", "no", False),
        ("den", "den", True),
        ("den", "", False),
    ],
)
def test_words_are_found_as_whole_words(text: str, words: str, expected: bool) -> None:
    assert contains_words(text, words) is expected


def test_without_facts_it_is_unknown_whether_they_state_the_answer() -> None:
    assert states_answer(None, ["a"], "all") is None
    assert states_answer([], ["a"], "any") is False
