"""Comparisons of whole columns against their definition, text by text."""

import random
from typing import Literal

import polars as pl
import pytest

from tracekd.scoring.attempt import answer_in_facts, normalise
from tracekd.scoring.columns import normalised, state

STRINGS = pl.List(pl.String)
# Few words in several spellings, so that texts often hold one another; signs that lower case,
# punctuation and white space make something else of.
WORDS = (
    *("a", "A", "b.", "c", "word", "-", ";", "'", "", " ", " ", " ", "\t", "\n", "\x1c", "\x85"),
    *("\u2003", "\u2019", "\u00c4", "\u00df", "\u0130", "i\u0307", "\u0131", "\u01c5", "\u017f"),
    *("\u03a3", "\u03c2", "\u212a", "\u10a0", "\u65e5", "\u1c89", "\u200b", "\U0001f600"),
)


def texts(count: int) -> list[str]:
    draw = random.Random(count)  # noqa: S311
    return ["".join(draw.choices(WORDS, k=draw.randrange(8))) for _ in range(count)]


def lists(count: int, seed: int) -> list[list[str]]:
    draw = random.Random(seed)  # noqa: S311
    said = texts(1000)
    return [draw.choices(said, k=draw.randrange(4)) for _ in range(count)]


def test_a_column_is_normalised_as_each_text_is() -> None:
    said = [*texts(5000), None]
    expected = [None if text is None else normalise(text) for text in said]
    assert normalised(pl.Series(said, dtype=pl.String)).to_list() == expected
    assert normalised(pl.Series([], dtype=pl.String)).to_list() == []


def test_every_letter_is_normalised_in_a_column_as_alone() -> None:
    # To the end of the first plane, and the letters with two cases beyond it.
    letters = [chr(code) for code in range(0x11000) if not 0xD800 <= code < 0xE000]
    said = [f"{letter}x A{letter}-" for letter in letters]
    assert normalised(pl.Series(said)).to_list() == list(map(normalise, said))


@pytest.mark.parametrize("which", ["all", "any"])
def test_a_column_states_items_as_answer_in_facts_says_of_each_row(
    which: Literal["all", "any"],
) -> None:
    facts = [row if number % 9 else None for number, row in enumerate(lists(5000, 1))]
    items = lists(5000, 2)
    expected = [answer_in_facts(*row, which) for row in zip(facts, items, strict=True)]
    found = state(pl.Series(facts, dtype=STRINGS), pl.Series(items, dtype=STRINGS), which)
    assert found.to_list() == expected
    assert {True, False, None} <= set(expected)


def test_no_item_is_found_across_two_texts() -> None:
    facts, items = pl.Series([["Mary has", "milk"]]), pl.Series([["has milk"]])
    assert state(facts, items, "any").to_list() == [False]
