"""A function over many items on all cores, the results in the order of the items.

Processes are for work that Python itself does. They start afresh (spawn), so they need about a
second, and what goes in and out is pickled: a function stands at the top of its module, and only
long work is worth it. Threads cost nothing of that and are for work that polars and NumPy do, which
let go of the interpreter meanwhile.
"""

import gc
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from functools import cache
from multiprocessing import get_context, parent_process
from threading import Thread
from typing import TypeVar

from tracekd.errors import TracekdError
from tracekd.memory import keep_freed_memory

T = TypeVar("T")
R = TypeVar("R")

#: Each process or thread holds an item and its result; more of them would need more memory.
_MOST = 8
#: Items under way for each of them: one that is worked on and one that waits.
_AHEAD = 2
#: Containers that are made before Python looks for those that refer to each other.
_OBJECTS = 1_000_000
#: Parts that take seconds altogether.
_MANY = 8


def tune() -> None:
    """Set this process up for work on whole columns; call it before NumPy and polars are imported.

    NumPy's library for linear algebra, which no such work needs, starts threads that spin for a
    tenth of a second. And by default Python looks all objects through, again and again while more
    are made, for some that refer to each other: up to half of the time, and none of them do.
    """
    keep_freed_memory()
    gc.set_threshold(_OBJECTS)
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")


def in_order(function: Callable[[T], R], items: Iterable[T], *, parallel: bool) -> Iterator[R]:
    """Yield `function(item)` for each item, in order; in other processes if `parallel`.

    Items are taken as results are, a few ahead, so that neither fill the memory.

    Raises:
        TracekdError: if a process is killed, as for want of memory. What `function` raises comes
            out as it is, in its place in the order.
    """
    processes = _workers()
    if not parallel or processes == 1:
        yield from map(function, items)
        return
    try:
        yield from _through(_processes(), processes, function, items)
    except BrokenProcessPool as error:
        _processes.cache_clear()
        raise TracekdError(
            "a worker process was killed, probably for want of memory; run the stage again with "
            "fewer cores (taskset -c 0) or more memory"
        ) from error


def start(function: Callable[..., object]) -> None:
    """Let the processes of `in_order` start and load what `function` needs; do not wait for them.

    Args:
        function: to be given to `in_order`.
    """
    if _workers() > 1:
        for _ in range(_workers()):
            _processes().submit(_nothing, function)  # to read it there, its module is loaded


@contextmanager
def beside(function: Callable[[], R]) -> Iterator[Callable[[], R]]:
    """Call `function` in a thread of its own while the block runs; give what returns its result.

    The end of the block waits for it. What it raises comes out where the result is asked for.
    """
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(function).result


def meanwhile(function: Callable[[], None]) -> None:
    """Call `function` in a thread of its own."""
    Thread(target=function).start()


def in_threads(
    function: Callable[[T], R], items: Iterable[T], threads: int | None = None
) -> Iterator[R]:
    """Yield `function(item)` for each item, in order, computed in other threads of this process.

    Items are taken as results are, two ahead for each thread (None: as many as cores). What
    `function` raises comes out as it is, in its place in the order.
    """
    threads = threads or _workers()
    with ThreadPoolExecutor(threads) as pool:
        yield from _through(pool, threads, function, items)


def _nothing(_: object) -> None:
    pass


@cache
def _processes() -> ProcessPoolExecutor:
    """Return the processes, which stay for what comes next: to start them takes a second."""
    return ProcessPoolExecutor(_workers(), get_context("spawn"), _set_up)


def _through(
    pool: Executor, workers: int, function: Callable[[T], R], items: Iterable[T]
) -> Iterator[R]:
    waiting: deque[Future[R]] = deque()
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) == _AHEAD * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        for unwanted in waiting:
            unwanted.cancel()


def watched(results: Iterable[R], parts: int, title: str) -> Iterator[R]:
    """Yield the results; with a bar of about so many `parts` if they are many."""
    if parts < _MANY:
        yield from results
        return
    from tracekd.bars import progress_bar

    with progress_bar(parts, title, "part") as bar:
        for result in results:
            yield result
            bar.update(bar.n < parts)


def _workers() -> int:
    return min(_MOST, len(os.sched_getaffinity(0)) if _can_ask() else os.cpu_count() or 1)


def _can_ask() -> bool:
    return hasattr(os, "sched_getaffinity")  # not on macOS and Windows


def _set_up() -> None:
    """Keep polars, which is not imported yet, from starting threads for every core here too."""
    tune()
    os.environ["POLARS_MAX_THREADS"] = "1"
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process with the one that started it: a killed one cannot tell it to stop."""
    if (parent := parent_process()) is not None:
        parent.join()
        os._exit(1)
