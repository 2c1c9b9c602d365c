from collections import Counter

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd import pools
from tracekd.config import PrepareParams
from tracekd.datasets import splits, table
from tracekd.errors import TracekdError


def questions(split: str, **classes: int) -> pl.DataFrame:
    return splits.identified(raw(split, **classes))


def raw(split: str, **classes: int) -> pl.DataFrame:
    return table(
        [
            {
                "id": f"x/{split}/{label}:{n}",
                "question": f"{split} {label} {n}?",
                "context": ["A fact."],
                "answers": ["a"],
                "question_class": label,
                "subtype": None,
                "gold_facts": None,
                "source": "f:1",
            }
            for label, count in classes.items()
            for n in range(count)
        ]
    )


def with_text(rows: pl.DataFrame, question: str, *facts: str) -> pl.DataFrame:
    return splits.identified(rows.with_columns(question=pl.lit(question), context=pl.lit([*facts])))


def sizes(train: int | None, validation: int | None, test: int | None) -> PrepareParams:
    return PrepareParams(train=train, validation=validation, test=test)


def ids(rows: pl.DataFrame) -> set[str]:
    return set(rows["id"])


def test_each_split_has_the_size_asked_in_proportion_to_the_classes() -> None:
    made = splits.split(
        questions("train", a=60, b=30), questions("test", a=20, b=10), sizes(30, 9, 6), 0
    )
    assert {name: Counter(rows["question_class"]) for name, rows in made.tables.items()} == {
        "train": {"a": 20, "b": 10},
        "validation": {"a": 6, "b": 3},
        "test": {"a": 4, "b": 2},
    }
    assert not ids(made.tables["train"]) & ids(made.tables["validation"])


def test_null_takes_all_and_a_tenth_for_validation() -> None:
    made = splits.split(
        questions("train", a=60, b=40), questions("test", a=3, b=1), sizes(None, None, None), 0
    )
    assert {name: len(rows) for name, rows in made.tables.items()} == {
        "train": 90,
        "validation": 10,
        "test": 4,
    }


def test_rows_keep_their_upstream_order_and_the_seed_decides_which() -> None:
    train, test = questions("train", a=50), questions("test", a=50)
    one, other = (
        splits.split(train, test, sizes(10, 5, 10), seed).tables["test"] for seed in (0, 1)
    )
    numbers = [int(key.split(":")[1]) for key in one["id"]]
    assert numbers == sorted(numbers)
    assert ids(one) != ids(other)


@given(
    counts=st.lists(st.integers(1, 30), min_size=1, max_size=4),
    seed=st.integers(0, 9),
    data=st.data(),
)
def test_sizes_nest_and_no_class_gets_more_than_its_share(
    counts: list[int], seed: int, data: st.DataObject
) -> None:
    rows = questions("test", **{f"c{n}": count for n, count in enumerate(counts)})
    larger = data.draw(st.integers(1, len(rows)))
    smaller = data.draw(st.integers(1, larger))
    big = splits.first(rows, larger, seed, "test")
    assert len(big) == larger
    assert ids(splits.first(rows, smaller, seed, "test")) <= ids(big)
    found = Counter(big["question_class"])
    # Webster's condition: no class would deserve another's last row more.
    taken = [(found[f"c{n}"], count) for n, count in enumerate(counts)]
    last = max((part - 0.5) / count for part, count in taken)
    following = min((part + 0.5) / count for part, count in taken)
    assert last <= following


def test_a_smaller_train_or_validation_is_part_of_a_larger_one() -> None:
    train, test = questions("train", a=40, b=20), questions("test", a=3, b=3)
    small = splits.split(train, test, sizes(10, 5, 6), 7).tables
    large = splits.split(train, test, sizes(30, 12, 6), 7).tables
    assert ids(small["train"]) < ids(large["train"])
    assert ids(small["validation"]) < ids(large["validation"])


def test_train_questions_that_stand_in_test_leave_train_whatever_case_and_spaces() -> None:
    test = with_text(raw("test", a=1), "Where is Mary?", "Mary  moved.", "John moved.")
    train = pl.concat(
        [
            with_text(raw("one", a=1), "where is  mary? ", "mary moved.", "John moved."),
            with_text(raw("two", a=1), "Where is Mary?", "John moved.", "Mary moved."),
            questions("train", a=9),
        ]
    )
    made = splits.split(train, test, sizes(None, 1, None), 0)
    assert made.in_test["id"].to_list() == ["x/one/a:0"]
    kept = ids(made.tables["train"]) | ids(made.tables["validation"])
    assert kept == ids(train) - {"x/one/a:0"}


def test_train_questions_that_stand_in_validation_leave_train() -> None:
    train = with_text(raw("train", a=5), "Where?", "A.")
    more = questions("more", a=40)
    made = splits.split(pl.concat([train, more]), questions("test", a=1), sizes(None, 20, None), 0)
    inside = ids(made.tables["validation"]) & ids(train)
    assert inside
    assert ids(made.in_validation) == ids(train) - inside
    assert not ids(made.tables["train"]) & ids(train)


def test_too_few_questions_are_an_error_that_counts_them() -> None:
    train, test = questions("train", a=6, b=4), questions("test", a=3, b=2)
    with pytest.raises(TracekdError, match=r"prepare\.test: 6 asked, 5 available \(a: 3, b: 2\)"):
        splits.split(train, test, sizes(4, 2, 6), 0)
    with pytest.raises(TracekdError, match=r"8 and 3 asked, 10 available together \(a: 6, b: 4\)"):
        splits.split(train, test, sizes(8, 3, 5), 0)


def test_a_class_without_a_row_is_an_error() -> None:
    both, one = questions("train", a=6, b=4), questions("test", a=3)
    with pytest.raises(TracekdError, match="zero test questions of the class 'b'; available: a: 3"):
        splits.split(both, one, sizes(4, 2, 2), 0)
    same = with_text(raw("train", a=6, b=4), "Where?", "A.")
    leaked = with_text(raw("test", a=3, b=1), "Where?", "A.")
    with pytest.raises(TracekdError, match="zero train questions of the class 'a', as all 6 stand"):
        splits.split(same, leaked, sizes(4, 2, 2), 0)


def test_distinct_questions_are_counted() -> None:
    repeated = with_text(raw("train", a=5), "Where?", "A.")
    assert splits.distinct(pl.concat([repeated, questions("more", a=2)])) == 3


def test_another_process_tells_questions_apart_by_the_same_hashes() -> None:
    rows = raw("train", a=3)
    (theirs,) = pools.in_order(splits.identified, [rows], parallel=True)
    assert theirs.equals(splits.identified(rows))


TEXTS = st.text("aB \n\tΣσς", min_size=1, max_size=4)


@given(
    asked=st.lists(
        st.tuples(st.sampled_from(["Why", "WHY ", "How"]), st.lists(TEXTS, max_size=2)), max_size=8
    ),
    cut=st.integers(0, 8),
)
def test_questions_are_told_apart_without_the_whole_context_of_those_that_open_otherwise(
    asked: list[tuple[str, list[str]]], cut: int
) -> None:
    rows = raw("train", a=len(asked)).with_columns(
        question=pl.Series([question for question, _ in asked], dtype=pl.String),
        context=pl.Series([facts for _, facts in asked], dtype=pl.List(pl.String)),
    )
    tables = [rows[:cut], rows[cut:]]
    opened = list(map(splits.opened, tables))
    keys = pl.concat(
        splits.with_whole(keys, alike, splits.whole(table[alike]))
        for table, keys, alike in zip(tables, opened, splits.alike(opened), strict=True)
    )
    assert groups(keys) == groups(splits.identified(rows))


def groups(keys: pl.DataFrame) -> set[frozenset[str]]:
    identity = [name for name in keys.columns if name not in ("id", "question_class")]
    return {frozenset(rows["id"]) for _, rows in keys.group_by(identity)}


@pytest.mark.parametrize("space", ["\u00a0", "\n", "\u2003", "\x1c", "  ", "\t"])
def test_questions_that_differ_in_white_space_alone_are_one_as_they_have_one_prompt(
    space: str,
) -> None:
    test = with_text(raw("test", a=1), "Where is Mary?", "Mary moved.", "John moved.")
    inside = with_text(raw("one", a=1), "Where is Mary?", "Mary moved.", f"John{space}moved.")
    opening = with_text(
        raw("two", a=1), f"Where{space}is Mary?", f"Mary{space}moved.", "John moved."
    )
    outer = with_text(raw("three", a=1), "Where is Mary?", f"Mary moved.{space}", "John moved.")
    train = pl.concat([inside, opening, outer, questions("train", a=9)])
    made = splits.split(train, test, sizes(None, 1, None), 0)
    assert ids(made.in_test) == ids(inside) | ids(opening) | ids(outer)
