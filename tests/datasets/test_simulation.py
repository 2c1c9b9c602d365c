import pytest

from tracekd.datasets import Wanted
from tracekd.datasets.readers import babi_sim, cotemp_sim
from tracekd.datasets.simulation import Story, simulate
from tracekd.errors import TracekdError


def of_ten(_kind, _side, rng):
    return Story([f"The dial shows {rng.randrange(10)}."], "What does it show?", ["x"], [0])


def endless(_kind, _side, rng):
    return Story([f"The dial shows {rng.random()}."], "What does it show?", ["x"], [0])


def test_a_split_has_no_duplicate_question_and_shares_none_with_the_other():
    loaded = simulate("dial", Wanted(0, 10, 10), ["few"], of_ten, unseen=True)
    for table in loaded.splits.values():
        assert len({context[0] for context in table["context"].to_list()}) == len(table) == 10
    loaded = simulate("dial", Wanted(0, 3, 3), ["few"], of_ten, unseen=False)
    train, test = ({c[0] for c in t["context"].to_list()} for t in loaded.splits.values())
    assert train.isdisjoint(test)


def test_too_few_different_questions_or_a_null_size_are_errors():
    with pytest.raises(TracekdError, match="class few: found only 10 different questions of 50"):
        simulate("dial", Wanted(0, 50, 5), ["few"], of_ten, unseen=True)
    with pytest.raises(TracekdError, match=r"dial: prepare\.test in params\.yaml is null"):
        simulate("dial", Wanted(0, 5, None), ["few"], of_ten, unseen=True)


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (babi_sim.simulate, {"statement": [4, 8]}, "babi_sim: statement: unknown key; did you"),
        (babi_sim.simulate, {"statements": [8, 4]}, r"must be \[minimum, maximum\]"),
        (cotemp_sim.simulate, {"years": [1990, 2000]}, "at least 20 apart"),
    ],
)
def test_unsuitable_options_are_explained(make, options, message):
    with pytest.raises(TracekdError, match=message):
        make(options, Wanted(0, 11, 11))


def test_a_question_is_a_function_of_seed_split_class_and_number():
    small, large, other = (
        simulate("dial", Wanted(seed, size, size * 2), ["many"], endless, unseen=True)
        for seed, size in ((3, 4), (3, 40), (4, 4))
    )
    for split in ("train", "test"):
        table = small.splits[split]
        assert table.equals(large.splits[split].head(len(table)))
        assert not set(table["context"].list.first()) & set(
            other.splits[split]["context"].list.first()
        )
    assert small.splits["train"]["id"].to_list()[:2] == ["dial/train/many:0", "dial/train/many:1"]
    assert small.splits["test"]["source"][0] == "simulator:many:0"
