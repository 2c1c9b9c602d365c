from hypothesis import given
from hypothesis import strategies as st
from training_runs import A, B

from tracekd.training.collation import IGNORED, WIDTH, collate, epoch_order, passes

LENGTHS = st.lists(st.integers(1, 99), min_size=1, max_size=200)


def test_batch_is_the_drawn_one():
    batch = collate([A, B])
    none, rest = IGNORED, WIDTH - 7
    assert batch["input_ids"].tolist() == [
        [1, 2, 3, 4, 5, 6, 9] + [0] * rest,
        [1, 9, 7, 9, 0, 0, 0] + [0] * rest,
    ]
    assert batch["labels"].tolist() == [
        [none, none, none, 4, 5, 6, 9] + [none] * rest,
        [none, none, 7, 9, none, none, none] + [none] * rest,
    ]
    assert batch["in_answer"].int().tolist() == [
        [0, 0, 0, 0, 0, 1, 1] + [0] * rest,
        [0, 0, 1, 1, 0, 0, 0] + [0] * rest,
    ]


def test_passes_hold_so_many_tokens_padding_included():
    lengths = [10, 17, 33, 16, 100]
    assert passes(range(5), lengths, 64) == [[4], [2], [1, 3], [0]]
    assert passes([0, 3], lengths, 32) == [[3, 0]]
    assert passes([0, 3], lengths, 31) == [[3], [0]]


@given(LENGTHS, st.integers(1, 500))
def test_passes_take_each_row_once(lengths, tokens):
    parts = passes(range(len(lengths)), lengths, tokens)
    assert sorted(row for part in parts for row in part) == list(range(len(lengths)))
    for part in parts:
        assert len(part) == 1 or len(part) * max(lengths[row] for row in part) <= tokens


@given(LENGTHS, st.integers(1, 9), st.integers(0, 3))
def test_epoch_order_visits_each_row_once_in_batches_of_one_size(lengths, batch_size, epoch):
    batches = epoch_order(lengths, batch_size, 0, epoch)
    assert sorted(row for batch in batches for row in batch) == list(range(len(lengths)))
    assert {len(batch) for batch in batches[:-1]} <= {batch_size}
    assert batches == epoch_order(lengths, batch_size, 0, epoch)


def test_epoch_order_groups_similar_lengths_and_changes_with_epoch_and_seed():
    lengths = [10, 200] * 8
    batches = epoch_order(lengths, 4, 0, 0)
    assert all(len({lengths[row] for row in batch}) == 1 for batch in batches)
    assert batches != epoch_order(lengths, 4, 0, 1)
    assert batches != epoch_order(lengths, 4, 1, 0)
