import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.datasets import overlap

WORDS = [f"word{number}" for number in range(60)]
TEXT = " ".join(WORDS)


def questions(split, *rows):
    named = [(f"{split}/{number}", *row) for number, row in enumerate(rows)]
    schema = {"id": pl.String, "question": pl.String, "context": pl.List(pl.String)}
    return pl.DataFrame(named, schema=schema, orient="row")


def found(test, train):
    report = overlap.near_duplicates(test, train)
    for name in ("same_question", "same_context"):
        assert report[name]["test_questions"] == len(report[name]["first"])
    return {name: report[name]["first"] for name in ("same_question", "same_context")}


def test_the_same_words_in_other_case_punctuation_and_facts_are_found():
    train = questions("train", ("Who?", ["Nothing alike in here."]), ("Who is it?", [TEXT]))
    test = questions(
        "test", ("who is it", [" ".join(WORDS[:9]) + ".", " ".join(WORDS[9:]).upper()])
    )
    pair = [["test/0", "train/1", 1.0]]
    assert found(test, train) == {"same_question": pair, "same_context": pair}


def test_a_similar_context_counts_apart_from_the_question():
    # One other word in 60 changes five of 60 shingles: 55 shared of 65.
    changed = " ".join([*WORDS[:30], "changed", *WORDS[31:]])
    train = questions("train", ("Who?", [TEXT]), ("Where?", [TEXT]))
    test = questions("test", ("Where?", [changed]), ("Who?", ["Something else entirely."]))
    assert found(test, train) == {
        "same_question": [["test/0", "train/1", round(55 / 65, 3)]],
        "same_context": [["test/0", "train/0", round(55 / 65, 3)]],
    }


@pytest.mark.parametrize("context", ["?!", "one", "one two", "\u05d0\u05d1 \U0001f600 \u0663"])
def test_short_texts_of_any_script_are_compared_whole(context):
    train = questions("train", ("q", ["another"]), ("q", [context]))
    pair = [["test/0", "train/1", 1.0]]
    assert found(questions("test", ("q", [context])), train)["same_question"] == pair


@given(*2 * [st.lists(st.lists(st.sampled_from("ab"), min_size=1, max_size=30), max_size=4)])
def test_the_pairs_are_those_that_comparing_all_with_all_finds(test, train):
    def shingles(words):
        return {tuple(words[i : i + 5]) for i in range(len(words))}

    expected = []
    for row, words in enumerate(test):
        for place, others in enumerate(train):
            one, two = shingles(words), shingles(others)
            similarity = len(one & two) / len(one | two)
            if similarity >= overlap.SIMILAR:
                expected.append([f"test/{row}", f"train/{place}", round(similarity, 3)])
                break
    asked, learnt = ([("q", [" ".join(words)]) for words in texts] for texts in (test, train))
    assert found(questions("test", *asked), questions("train", *learnt)) == {
        "same_question": expected,
        "same_context": expected,
    }
