import os

import pytest

from tracekd.errors import TracekdError
from tracekd.pools import in_order


def double(number: int) -> int:
    return 2 * number


def place(_: int) -> int:
    return os.getpid()


def fail_at_two(number: int) -> int:
    if number == 2:
        raise ValueError("two")
    return number


def end(_: int) -> None:
    os._exit(1)


@pytest.mark.parametrize("parallel", [False, True])
def test_results_come_in_the_order_of_the_items(parallel: bool) -> None:
    assert list(in_order(double, range(20), parallel=parallel)) == list(range(0, 40, 2))


def test_without_parallel_all_happens_in_this_process() -> None:
    assert set(in_order(place, range(3), parallel=False)) == {os.getpid()}


@pytest.mark.parametrize("parallel", [False, True])
def test_a_failure_comes_out_in_its_place(parallel: bool) -> None:
    results = in_order(fail_at_two, range(4), parallel=parallel)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_items_are_not_all_taken_at_once() -> None:
    taken = []
    results = in_order(double, map(taken.append, range(1000)), parallel=False)
    with pytest.raises(TypeError):
        next(results)
    assert taken == [0]


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 if hasattr(os, "sched_getaffinity") else False,
    reason="one core: no other process",
)
def test_a_process_that_is_killed_is_an_error_for_the_reader() -> None:
    with pytest.raises(TracekdError, match="killed, probably for want of memory"):
        list(in_order(end, range(2), parallel=True))
