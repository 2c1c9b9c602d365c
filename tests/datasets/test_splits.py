from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.config import PrepareParams, load_params
from tracekd.datasets import splits
from tracekd.datasets.keys import KEYS, identity
from tracekd.errors import TracekdError


def questions(split: str, text: str | None = None, **classes: int) -> pl.DataFrame:
    """Return keys of so many questions of each class, all with the same text if one is given."""
    rows = [
        (f"x/{split}/{label}:{n}", label, identity(text or f"{split} {label} {n}?", ["A fact."]))
        for label, count in classes.items()
        for n in range(count)
    ]
    return pl.DataFrame(rows, schema=KEYS, orient="row")


def sizes(train: int | None, validation: int | None, test: int | None) -> PrepareParams:
    return PrepareParams(train=train, validation=validation, test=test)


BOTH = {"a": 6, "b": 4}


def ids(rows: pl.DataFrame) -> set[str]:
    return set(rows["id"])


def test_each_split_has_its_size_in_proportion_to_the_classes() -> None:
    made = splits.split(
        questions("train", a=60, b=30), questions("test", a=20, b=10), sizes(30, 9, 6), 0
    )
    assert {name: Counter(rows["question_class"]) for name, rows in made.tables.items()} == {
        "train": {"a": 20, "b": 10},
        "validation": {"a": 6, "b": 3},
        "test": {"a": 4, "b": 2},
    }
    assert not ids(made.tables["train"]) & ids(made.tables["validation"])


def test_null_takes_all_and_a_tenth_for_validation_and_smaller_splits_are_part_of_larger() -> None:
    train, test = questions("train", a=60, b=40), questions("test", a=3, b=1)
    large = splits.split(train, test, sizes(None, None, None), 0).tables
    assert [len(large[name]) for name in ("train", "validation", "test")] == [90, 10, 4]
    small = splits.split(train, test, sizes(30, 5, 4), 0).tables
    assert ids(small["validation"]) < ids(large["validation"])
    assert ids(small["train"]) < ids(splits.split(train, test, sizes(40, 5, 4), 0).tables["train"])


def test_rows_keep_their_upstream_order_and_the_seed_decides_which() -> None:
    train, test = questions("train", a=50), questions("test", a=50)
    one, other = (
        splits.split(train, test, sizes(10, 5, 10), seed).tables["test"] for seed in (0, 1)
    )
    numbers = [int(key.split(":")[1]) for key in one["id"]]
    assert numbers == [1, 3, 9, 17, 21, 27, 29, 35, 39, 49]
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
    # Webster's condition: no class deserves another's last row more.
    taken = [(found[f"c{n}"], count) for n, count in enumerate(counts)]
    last = max((part - 0.5) / count for part, count in taken)
    following = min((part + 0.5) / count for part, count in taken)
    assert last <= following


def test_another_seed_draws_another_sample_of_the_same_pool() -> None:
    pool = questions("train", a=60, b=30)
    samples = {tuple(splits.first(pool, 15, seed, "sample_size")["id"]) for seed in range(20)}
    assert len(samples) == 20


def test_train_questions_that_occur_in_test_leave_train() -> None:
    train = pl.concat([questions("one", "Where?", a=2), questions("train", a=9)])
    made = splits.split(train, questions("test", "Where?", a=1), sizes(None, 1, None), 0)
    assert made.in_test["id"].to_list() == ["x/one/a:0", "x/one/a:1"]
    kept = ids(made.tables["train"]) | ids(made.tables["validation"])
    assert kept == ids(train) - ids(made.in_test)


def test_train_questions_that_share_an_entity_with_test_leave_train() -> None:
    train = questions("train", a=4).with_columns(
        entities=pl.Series([["Ann"], ["Bo", "Cy"], [], ["Di"]])
    )
    test = questions("test", a=2).with_columns(entities=pl.Series([["Cy", "Ed"], ["Ann"]]))
    made = splits.split(train, test, sizes(None, 1, 1), 0)
    assert made.share_entity["id"].to_list() == ["x/train/a:0", "x/train/a:1"]
    kept = ids(made.tables["train"]) | ids(made.tables["validation"])
    assert kept == {"x/train/a:2", "x/train/a:3"}


def test_train_questions_that_occur_in_validation_leave_train() -> None:
    train = pl.concat([questions("train", "Where?", a=5), questions("more", a=40)])
    made = splits.split(train, questions("test", a=1), sizes(None, 20, None), 0)
    repeated = {f"x/train/a:{n}" for n in range(5)}
    inside = ids(made.tables["validation"]) & repeated
    assert inside
    assert ids(made.in_validation) == repeated - inside
    assert not ids(made.tables["train"]) & repeated


@pytest.mark.parametrize(
    ("train", "test", "wanted", "message"),
    [
        (BOTH, {"a": 3, "b": 2}, (4, 2, 6), r"test is 6, but only 5 .* \(a: 3, b: 2\)"),
        (BOTH, {"a": 3, "b": 2}, (8, 3, 5), r"need 8 and 3 .* only 10 .* \(a: 6, b: 4\)"),
        (BOTH, {"a": 3}, (4, 2, 2), "no test question of the class 'b'; available: a: 3"),
        (
            {"text": "Where?", **BOTH},
            {"text": "Where?", "a": 3, "b": 1},
            (4, 2, 2),
            "class 'a', because all 6 also occur in test",
        ),
    ],
)
def test_too_few_questions_of_all_or_of_a_class_are_an_error_that_counts_them(
    train: dict[str, Any], test: dict[str, Any], wanted: tuple[int, int, int], message: str
) -> None:
    with pytest.raises(TracekdError, match=message):
        splits.split(questions("train", **train), questions("test", **test), sizes(*wanted), 0)


def drawn(train: pl.DataFrame, size: int | None, shots: int) -> tuple[pl.DataFrame, pl.DataFrame]:
    params = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    prompt = params.prompt.model_copy(update={"shots": shots})
    changes = {"sample_size": size, "prompt": prompt, "seed": 3, "sample_seed": None}
    return splits.draw(train, params.model_copy(update=changes))


def test_shots_are_further_questions_and_leave_the_sample_as_it_is() -> None:
    train = questions("train", a=8, b=4)
    for size in (5, None):
        without, none = drawn(train, size, 0)
        assert without.equals(splits.first(train, size, 3, ""))
        assert none.is_empty()
    sample, shots = drawn(train, 5, 3)
    assert sample.equals(drawn(train, 5, 0)[0])
    assert drawn(train, 5, 2)[1].equals(shots.tail(2))
    assert (len(shots), shots["question_class"].n_unique()) == (3, 2)
    assert not ids(sample) & ids(shots)
    rest, shots = drawn(train, None, 3)
    assert (ids(rest) | ids(shots), len(rest)) == (ids(train), 9)


@pytest.mark.parametrize(("size", "shots", "left"), [(10, 3, 2), (None, 12, 11), (12, 1, 0)])
def test_more_shots_than_questions_are_an_error(size: int | None, shots: int, left: int) -> None:
    message = f"prompt.shots is {shots}, but sample_size leaves {left} of 12 training questions"
    with pytest.raises(TracekdError, match=message):
        drawn(questions("train", a=8, b=4), size, shots)


@given(
    st.lists(
        st.lists(
            st.text("aA\u00c9\u00e9 \n\u00a0\u2003\x1c\t.", max_size=4), min_size=1, max_size=3
        ),
        max_size=8,
    )
)
def test_white_space_and_letter_case_make_no_other_question(asked: list[list[str]]) -> None:
    def normal(texts: list[str]) -> tuple[str, ...]:
        return tuple(" ".join(text.split()).lower() for text in texts)

    distinct = {identity(question, context) for question, *context in asked}
    assert len(distinct) == len(set(map(normal, asked)))
