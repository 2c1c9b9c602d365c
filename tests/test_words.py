import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.words import word_hashes

_CASES = [
    "Foo-bar_9 ÉCOLE’s İstanbul ΟΔΟΣ 𝒳x 😀a",
    "",
    "—",
    "\u212a a",  # Kelvin's sign, of three bytes: its lower case is an ASCII letter
    "naïve" * 6 + " x",
    "a\u0301b Ⓐ",
    "zwj\u200dx",
    "\x1ca\x1fb\r\nc",
    "seventeen_letters abcdefghijklmnopq abcdefghXijklmnopq",
    "日本語 テキスト、です。",
]


def _expected(texts):
    spaced = pl.Series(texts, dtype=pl.String).str.to_lowercase().str.replace_all(r"\W", " ")
    return [[word for word in text.split(" ") if word] for text in spaced]


def _assert_like_words(texts):
    hashes, counts = word_hashes([text.encode() for text in texts])
    words = [word for text in _expected(texts) for word in text]
    assert counts.tolist() == list(map(len, _expected(texts)))
    known = dict(zip(words, hashes.tolist(), strict=True))
    assert [known[word] for word in words] == hashes.tolist()
    assert len(set(known.values())) == len(known)


@pytest.mark.parametrize("text", _CASES)
def test_words_are_runs_of_letters_digits_and_underscores_in_lower_case(text):
    _assert_like_words([text])


def test_each_text_has_its_own_words():
    _assert_like_words([*_CASES, "the end"])
    _assert_like_words([])


@given(
    st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=12), max_size=5)
)
def test_any_text_has_the_words_that_the_library_finds(texts):
    _assert_like_words(texts)


def test_case_makes_no_difference_and_any_other_letter_does():
    hashes, _ = word_hashes(["Déjà DÉJÀ deja déjàs".encode()])
    assert hashes[0] == hashes[1]
    assert len(set(hashes.tolist())) == 3


def test_hashes_are_the_same_on_every_machine():
    hashes, _ = word_hashes([b"word"])
    assert hashes.tolist() == [3664899406992469081]
