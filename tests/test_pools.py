import operator
import os
import threading
from queue import Queue

import pytest

from tracekd.errors import TracekdError
from tracekd.pools import beside, in_order, in_threads, meanwhile, start

# The functions are the library's: another process could not import those of a test's module.


@pytest.mark.parametrize("parallel", [False, True])
def test_results_come_in_the_order_of_the_items(parallel: bool) -> None:
    found = list(in_order(operator.neg, range(20), parallel=parallel))
    assert found == list(range(0, -20, -1))


def test_results_of_threads_come_in_the_order_of_the_items() -> None:
    found = list(in_threads(lambda item: (-item, os.getpid()), range(20)))
    assert found == [(-item, os.getpid()) for item in range(20)]


def test_a_failure_in_a_thread_comes_out_in_its_place() -> None:
    results = in_threads(int, ["0", "two", "3"])
    assert next(results) == 0
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_without_parallel_all_happens_in_this_process() -> None:
    assert set(in_order(lambda _: os.getpid(), range(3), parallel=False)) == {os.getpid()}


@pytest.mark.parametrize("parallel", [False, True])
def test_a_failure_comes_out_in_its_place(parallel: bool) -> None:
    results = in_order(int, ["0", "1", "two", "3"], parallel=parallel)
    assert [next(results), next(results)] == [0, 1]
    with pytest.raises(ValueError, match="two"):
        next(results)


def test_items_are_not_all_taken_at_once() -> None:
    taken = []
    results = in_order(operator.neg, map(taken.append, range(1000)), parallel=False)
    with pytest.raises(TypeError):
        next(results)
    assert taken == [0]
    results = in_threads(operator.neg, map(taken.append, range(1000)))
    with pytest.raises(TypeError):
        next(results)
    assert len(taken) < 100


@pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2 if hasattr(os, "sched_getaffinity") else False,
    reason="one core: no other process",
)
def test_a_process_that_is_killed_is_an_error_for_the_reader() -> None:
    with pytest.raises(TracekdError, match="killed, probably for want of memory"):
        list(in_order(os._exit, [1, 1], parallel=True))


def test_what_goes_on_beside_a_block_gives_its_result_or_failure_when_asked() -> None:
    reached = threading.Event()
    with beside(lambda: reached.wait(timeout=60)) as result:
        reached.set()
    assert result()
    with beside(lambda: int("two")) as result:
        pass
    with pytest.raises(ValueError, match="two"):
        result()


def test_another_thread_works_meanwhile() -> None:
    found: Queue[int] = Queue()
    meanwhile(lambda: found.put(threading.get_ident()))
    assert found.get(timeout=60) != threading.get_ident()


def test_processes_that_were_started_early_do_the_work() -> None:
    start(operator.neg)
    assert list(in_order(operator.neg, range(3), parallel=True)) == [0, -1, -2]
