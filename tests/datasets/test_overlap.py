from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekd.datasets import overlap, table

WORDS = [f"word{number}" for number in range(60)]
TEXT = " ".join(WORDS)


def questions(split: str, *rows: tuple[str, list[str]]) -> pl.DataFrame:
    return table(
        [
            {
                "id": f"{split}/{number}",
                "question": question,
                "context": context,
                "answers": ["a"],
                "question_class": "c",
                "subtype": None,
                "gold_facts": None,
                "source": "s",
            }
            for number, (question, context) in enumerate(rows)
        ]
    )


def found(test: pl.DataFrame, train: pl.DataFrame) -> dict[str, list[list[Any]]]:
    report = overlap.near_duplicates(test, train)
    for name in ("same_question", "same_context"):
        assert report[name]["test_questions"] >= len(report[name]["first"])
    return {name: report[name]["first"] for name in ("same_question", "same_context")}


def test_the_same_words_in_other_case_punctuation_and_facts_are_found() -> None:
    train = questions("train", ("Who?", ["Nothing alike in here."]), ("Who is it?", [TEXT]))
    test = questions(
        "test", ("who is it", [" ".join(WORDS[:9]) + ".", " ".join(WORDS[9:]).upper()])
    )
    pair = [["test/0", "train/1", 1.0]]
    assert found(test, train) == {"same_question": pair, "same_context": pair}


def test_a_similar_context_counts_apart_from_the_question() -> None:
    # One other word in 60 changes five of 60 shingles: 55 shared of 65.
    changed = " ".join([*WORDS[:30], "changed", *WORDS[31:]])
    train = questions("train", ("Who?", [TEXT]))
    test = questions("test", ("Where?", [changed]), ("Who?", ["Something else entirely."]))
    pair = [["test/0", "train/0", round(55 / 65, 3)]]
    assert found(test, train) == {"same_question": [], "same_context": pair}


def test_less_similar_contexts_do_not_count() -> None:
    other = " ".join([*WORDS[:40], *(f"other{number}" for number in range(20))])
    empty: dict[str, list[Any]] = {"same_question": [], "same_context": []}
    train = questions("train", ("Who?", [TEXT]))
    assert found(questions("test", ("Who?", [other])), train) == empty


@pytest.mark.parametrize("context", ["?!", "one", "one two", "\u05d0\u05d1 \U0001f600 \u0663"])
def test_short_texts_of_any_script_are_compared_whole(context: str) -> None:
    train = questions("train", ("q", ["another"]), ("q", [context]))
    pair = [["test/0", "train/1", 1.0]]
    assert found(questions("test", ("q", [context])), train)["same_question"] == pair


def test_no_training_question_is_no_duplicate() -> None:
    test = questions("test", ("q", ["a"]))
    assert found(test, test.clear())["same_context"] == []
    assert found(test.clear(), test)["same_context"] == []


@settings(deadline=None)
@given(st.lists(st.lists(st.sampled_from("abc"), min_size=1, max_size=12), min_size=2, max_size=6))
def test_every_pair_that_is_told_is_as_similar_as_told(texts: list[list[str]]) -> None:
    def shingles(words: list[str]) -> set[tuple[str, ...]]:
        return {tuple(words[i : i + 5]) for i in range(len(words))}

    rows = [("q", [" ".join(words)]) for words in texts]
    for mine, other, how in found(questions("test", rows[0]), questions("train", *rows[1:]))[
        "same_context"
    ]:
        assert mine == "test/0"
        one, two = shingles(texts[0]), shingles(texts[1 + int(other.split("/")[1])])
        assert how == round(len(one & two) / len(one | two), 3) >= overlap.SIMILAR


@settings(deadline=None)
@given(st.integers(0, 2**32))
def test_a_context_with_a_word_changed_is_found_whatever_the_words(start: int) -> None:
    words = [f"w{start + number}" for number in range(200)]
    changed = [*words[:100], "changed", *words[101:]]
    train = questions("train", ("q", [" ".join(words)]))
    assert len(found(questions("test", ("q", [" ".join(changed)])), train)["same_context"]) == 1
