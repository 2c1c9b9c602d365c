"""Processes that share out the rows of a batch, each on a core of its own.

Two threads in one process have to wait for each other some hundred times a layer, and a waiting
thread either sleeps, and is woken late, or keeps a core from whoever else needs it. Processes meet
twice a batch:

    parent    request   its own rows 0   replies   what is for one process
    worker    . . . .   rows 1           . . . .   . . . . . . . . . . . .

Workers are forked (Linux; elsewhere there are none): they see the model's weights without a copy,
and what they or the parent write into `shared_zeros`.
"""

import json
import mmap
import os
import platform
import signal
import sys
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import torch

from tracekd.errors import TracekdError

#: What a worker, by its number, does with a request, and says when it is done; JSON can hold both.
Work = Callable[[int, Any], Any]
T = TypeVar("T")


def crew_size(device: torch.device) -> int:
    """Return how many processes can share the work in this one's threads; 1 is itself alone.

    A forked process must not start OpenMP's threads anew, so each has a single one.
    """
    forks = device.type == "cpu" and platform.system() == "Linux"
    return torch.get_num_threads() if forks else 1


def shared_zeros(elements: int) -> torch.Tensor:
    """Return fp32 zeros [elements] that forked processes share.

    Anonymous memory: a container's /dev/shm is often too small.
    """
    return torch.frombuffer(mmap.mmap(-1, 4 * max(1, elements)), dtype=torch.float32)[:elements]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Compute with one thread in this block, as the crew's workers do."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def share_out(lengths: Sequence[int], shares: int) -> list[list[int]]:
    """Return the row numbers of each of at most `shares` shares of like length, none empty.

    The longest row first, each to the share with the fewest tokens. Within a share rows stand in
    order.
    """
    parts: list[list[int]] = [[] for _ in range(min(shares, len(lengths)))]
    tokens = [0] * len(parts)
    for row in sorted(range(len(lengths)), key=lambda row: -lengths[row]):
        least = tokens.index(min(tokens))
        parts[least].append(row)
        tokens[least] += lengths[row]
    return [sorted(part) for part in parts]


class Crew:
    """Workers, until `close` or until nothing refers to them any more.

    Attributes:
        memory: bytes that each worker has taken beside what it shares with this process, at most.
    """

    def __init__(self, workers: int, work: Work) -> None:
        """Fork `workers` processes, beside this one, which answer requests by `work`."""
        self.memory = [0] * workers
        self._pids: list[int] = []
        self._pipes: list[Connection] = []
        self.close = weakref.finalize(self, _end, os.getpid(), self._pids, self._pipes)
        for worker in range(workers):
            ours, theirs = Pipe()
            sys.stdout.flush()
            sys.stderr.flush()
            pid = os.fork()
            if pid == 0:
                # With the parent's ends closed, a worker notices when the parent is gone.
                for pipe in (*self._pipes, ours):
                    pipe.close()
                _serve(theirs, partial(work, worker))
            theirs.close()
            self._pids.append(pid)
            self._pipes.append(ours)

    def share(self, own: Callable[[], T], requests: Sequence[Any]) -> tuple[T, list[Any]]:
        """Do `own` here, with one thread, while a worker does each of the requests.

        Returns:
            What `own` returns, and what the workers say.

        Raises:
            TracekdError: as a worker has raised it, or if one was killed. Whatever is raised, this
                crew has ended: an answer that nobody has read must not be taken for a later one.
        """
        if not self.close.alive:
            raise RuntimeError("this crew has ended")
        try:
            self._request(requests)
            with _one_thread():
                done = own()
            return done, self._replies(len(requests))
        except BaseException:
            self.close()
            raise

    def _request(self, requests: Sequence[Any]) -> None:
        for pipe, one in zip(self._pipes, requests, strict=False):
            try:
                pipe.send_bytes(json.dumps(one).encode())
            except OSError as error:
                raise _killed() from error

    def _replies(self, requests: int) -> list[Any]:
        replies = []
        for pipe in self._pipes[:requests]:
            try:
                replies.append(json.loads(pipe.recv_bytes()))
            except (EOFError, OSError) as error:
                raise _killed() from error
        for worker, reply in enumerate(replies):
            self.memory[worker] = reply["memory"]
            if "error" in reply:
                raise TracekdError(reply["error"])
        return [reply["done"] for reply in replies]


def _end(parent: int, pids: list[int], pipes: list[Connection]) -> None:
    if os.getpid() != parent:  # a forked process has a copy of what it must not end
        return
    for pipe in pipes:
        pipe.close()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)  # they keep nothing
        os.waitpid(pid, 0)


def _most_memory() -> int:
    """Return the most bytes that this process has held; a forked one starts with its parent's."""
    import resource  # Unix only

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _killed() -> TracekdError:
    return TracekdError(
        "a process that shares out the rows of a batch was killed, probably for want of memory; "
        "run again, with OMP_NUM_THREADS=1 if it happens again (one process)"
    )


def _serve(pipe: Connection, work: Callable[[Any], Any]) -> None:
    """Answer requests until the parent is gone; never return."""
    status = 1
    try:
        for number in (signal.SIGINT, signal.SIGTERM):  # the parent decides when to stop
            signal.signal(number, signal.SIG_IGN)
        torch.set_num_threads(1)
        before = _most_memory()
        while True:
            request = json.loads(pipe.recv_bytes())
            try:
                reply = {"done": work(request)}
            except TracekdError as error:
                reply = {"error": str(error)}
            reply["memory"] = _most_memory() - before
            pipe.send_bytes(json.dumps(reply).encode())
    except (EOFError, OSError):
        status = 0
    except BaseException:
        sys.excepthook(*sys.exc_info())
    finally:
        sys.stderr.flush()
        os._exit(status)  # without the parent's own endings: locks, checkpoints, logs
