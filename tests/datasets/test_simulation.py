import random
from collections.abc import Mapping

import pytest

from tracekd.datasets import Wanted
from tracekd.datasets.simulation import Story, Teller, simulate
from tracekd.errors import TracekdError


def of_ten(rng: random.Random) -> Story:
    return Story([f"The dial shows {rng.randrange(10)}."], "What does it show?", ["x"], [0])


def endless(rng: random.Random) -> Story:
    return Story([f"The dial shows {rng.random()}."], "What does it show?", ["x"], [0])


def tellers(split: str) -> Mapping[str, Teller]:
    return {"few": of_ten}


def test_no_question_stands_twice_in_a_split() -> None:
    loaded = simulate("dial", Wanted(0, 10, 10), tellers, shared=False)
    for table in loaded.splits.values():
        assert len({context[0] for context in table["context"].to_list()}) == len(table) == 10


def test_no_question_stands_in_both_splits_that_share_names() -> None:
    loaded = simulate("dial", Wanted(0, 3, 3), tellers, shared=True)
    train, test = (
        {context[0] for context in loaded.splits[split]["context"].to_list()}
        for split in ("train", "test")
    )
    assert train.isdisjoint(test)


def test_too_few_different_questions_are_an_error_that_counts_them() -> None:
    with pytest.raises(TracekdError, match="class few: only 10 different questions of 50 found"):
        simulate("dial", Wanted(0, 50, 5), tellers, shared=False)


def test_a_null_size_is_an_error_that_names_the_parameter() -> None:
    with pytest.raises(TracekdError, match=r"set prepare\.test in params\.yaml to a number"):
        simulate("dial", Wanted(0, 5, None), tellers, shared=False)


def test_ids_and_sources_name_the_draw() -> None:
    loaded = simulate("dial", Wanted(0, 2, 2), lambda _: {"many": endless}, shared=False)
    assert loaded.splits["train"]["id"].to_list() == ["dial/train/many:0", "dial/train/many:1"]
    assert loaded.splits["test"]["source"].to_list() == ["simulator:many:0", "simulator:many:1"]
    assert loaded.rejected == []


def test_a_question_does_not_depend_on_the_sizes_of_the_splits() -> None:
    few, many = (
        simulate("dial", Wanted(3, size, size * 2), lambda _: {"many": endless}, shared=False)
        for size in (4, 40)
    )
    for split in ("train", "test"):
        length = len(few.splits[split])
        assert few.splits[split].equals(many.splits[split].head(length))
