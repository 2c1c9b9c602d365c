import operator
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
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


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="reads /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_no_process_outlives_the_one_that_started_it(tmp_path: Path, how: signal.Signals) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import math, os, sys\n"
        "from tracekd import pools\n"
        "if __name__ == '__main__':\n"
        "    pools._workers = lambda: 2\n"
        "    list(pools.in_order(math.sqrt, [1, 2], parallel=True))\n"
        "    print(*pools._processes()._processes, flush=True)\n"
        f"    os.kill(os.getpid(), {int(how)})\n"
    )
    ended = subprocess.run(
        [sys.executable, script], stdout=subprocess.PIPE, check=False, timeout=60
    )
    assert ended.returncode == -how
    workers = [Path("/proc") / number for number in ended.stdout.decode().split()]
    assert workers
    until = time.monotonic() + 20
    while alive := [worker for worker in workers if lives(worker)]:
        assert time.monotonic() < until, alive
        time.sleep(0.05)


def lives(process: Path) -> bool:
    try:
        return (process / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
