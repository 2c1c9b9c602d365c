"""Several processes that train one student together, one for each GPU.

The stage's own process starts them, passes on a request to stop, and ends all of them as soon as
one fails; they end if it does. Every process gets the same batches and takes its share of the rows.
"""

import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from tracekd.errors import TracekdError
from tracekd.files import read_json, write_json
from tracekd.progress import Stopped, StopRequest
from tracekd.training.collation import passes
from tracekd.training.shards import is_sharded

#: The parent sees at once if a process dies; the others may wait for a slow disk.
_PATIENCE = timedelta(hours=2)
#: The number of the signal that the parent got, or 0; in the parent itself None.
_asked: Any = None


@dataclass(frozen=True)
class Ranks:
    """The processes that train together, as one of them sees them; alone, nothing is exchanged.

    `rank` is the number of this one of `count`; 0 writes files. All must call the methods in the
    same order.
    """

    rank: int
    count: int

    @classmethod
    def current(cls) -> "Ranks":
        """Return the processes that `launch` has started, or this one alone."""
        return cls(dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else cls(0, 1)

    def share(self, rows: Sequence[int], lengths: Sequence[int]) -> list[list[int]]:
        """Return each process's share of `rows`: about as many tokens, some perhaps without rows.

        The longest row comes first, each to the share with the fewest tokens so far.
        """
        shares: list[list[int]] = [[] for _ in range(self.count)]
        tokens = [0] * self.count
        for row in sorted(rows, key=lambda row: -lengths[row]):
            least = tokens.index(min(tokens))
            shares[least].append(row)
            tokens[least] += lengths[row]
        return shares

    def passes(
        self, rows: Sequence[int], lengths: Sequence[int], tokens: int, even: bool
    ) -> list[tuple[list[int], int]]:
        """Return the passes of this process over its share of `rows`, each with its weight, 1.

        With `even` every process has as many; what it lacks are passes over a short row of weight
        0, since sharded weights are gathered by all processes in every pass.
        """
        parts = [passes(share, lengths, tokens) for share in self.share(rows, lengths)]
        own = [(part, 1) for part in parts[self.rank]]
        if even:
            shortest = min(rows, key=lambda row: lengths[row])
            own += [([shortest], 0)] * (max(map(len, parts)) - len(own))
        return own

    def total(self, sums: torch.Tensor) -> torch.Tensor:
        """Replace a tensor by its sum over the processes, and return it."""
        if self.count > 1:
            dist.all_reduce(sums)
        return sums

    def total_gradients(self, weights: Sequence[torch.nn.Parameter]) -> None:
        """Replace the gradients by their sums over the processes; a missing one is zero."""
        if self.count == 1:
            return
        if is_sharded(weights):
            for weight in weights:
                if weight.grad is not None:
                    weight.grad *= self.count  # FSDP has taken the mean
            return
        flat = [torch.zeros_like(w) if w.grad is None else w.grad for w in weights]
        summed = self.total(torch.cat([gradient.flatten() for gradient in flat]))
        parts = torch.split(summed, [weight.numel() for weight in weights])
        for weight, part in zip(weights, parts, strict=True):
            weight.grad = part.view_as(weight)

    def most(self, number: int) -> int:
        """Return the largest of the processes' numbers."""
        found = torch.tensor(number)  # on the CPU: no GPU is waited for
        if self.count > 1:
            dist.all_reduce(found, dist.ReduceOp.MAX)
        return int(found)

    def due(self, here: bool, stop: StopRequest) -> bool:
        """Return whether a process is due to save, or asked to stop, which all then are."""
        if self.count > 1:
            asked = self.most(_asked.value)
            stop.signal = signal.Signals(asked) if asked else None
            here = bool(self.most(int(here)))
        return here or stop.signal is not None

    def wait(self) -> None:
        """Wait until all processes have come here."""
        self.most(0)


def process_count() -> int:
    """Return how many processes train: TRACEKD_PROCESSES, or one for each visible NVIDIA GPU.

    Raises:
        TracekdError: if another launcher has started this process, or that is no such number.
    """
    launched = {  # what torchrun, accelerate launch and DeepSpeed set
        "WORLD_SIZE": os.environ.get("WORLD_SIZE"),
        "ACCELERATE_USE_FSDP": os.environ.get("ACCELERATE_USE_FSDP"),
        "ACCELERATE_USE_DEEPSPEED": os.environ.get("ACCELERATE_USE_DEEPSPEED"),
    }
    if found := [name for name, value in launched.items() if value is not None]:
        raise TracekdError(
            f"{found[0]} is set, as torchrun, accelerate launch and DeepSpeed do: the train stage "
            "starts its own processes, one for each GPU; run it without a launcher (dvc exp run), "
            "and choose GPUs with CUDA_VISIBLE_DEVICES"
        )
    gpus = torch.cuda.device_count() if _may_use_gpus() else 0
    chosen = os.environ.get("TRACEKD_PROCESSES", str(gpus or 1))
    if not chosen.isdecimal() or not 1 <= int(chosen) <= (gpus or 64):
        most = f"at most {gpus}, the number of visible GPUs" if gpus else "1 or a few on a CPU"
        raise TracekdError(
            f"TRACEKD_PROCESSES: must be a number of processes, {most}; found {chosen!r}"
        )
    return int(chosen)


def launch(count: int, function: Callable[..., dict[str, Any]], *arguments: Any) -> dict[str, Any]:
    """Return `function(*arguments)`, called in `count` processes; the result is that of the first.

    With one process it is called here. Else `function` must be importable and its result JSON.

    Raises:
        TracekdError: the one that a process raised, or if one was killed.
        Stopped: if this process was asked to stop and the others have kept their checkpoint.
    """
    if count == 1:
        return function(*arguments)
    context = multiprocessing.get_context("spawn")
    asked = context.Value("i", 0)
    with tempfile.TemporaryDirectory(prefix="tracekd-") as name, StopRequest() as stop:
        folder = Path(name)
        given = (count, folder, asked, function, arguments)
        processes = [context.Process(target=_work, args=(rank, *given)) for rank in range(count)]
        try:
            for process in processes:
                process.start()
            while running := [each.sentinel for each in processes if each.exitcode is None]:
                wait(running, timeout=0.5)
                asked.value = stop.signal or 0
                _raise_failure([process.exitcode for process in processes], folder)
        finally:
            for process in processes:
                if process.is_alive():
                    process.kill()
                    process.join()
        if not (folder / "result.json").exists():
            raise Stopped(128 + (stop.signal or 0))
        result: dict[str, Any] = read_json(folder / "result.json")
        return result


def _raise_failure(codes: Sequence[int | None], folder: Path) -> None:
    """Raise if a process has failed: what was raised first, unless a kill made others fail."""
    if not any(codes):
        return
    path = folder / "error.json"
    error = read_json(path) if path.exists() else {"message": None, "traceback": f"codes {codes}"}
    if error["message"] is not None:
        raise TracekdError(error["message"])
    for rank, code in enumerate(codes):
        if code is not None and code < 0:
            raise TracekdError(
                f"process {rank} of {len(codes)} was ended by {signal.Signals(-code).name}; if "
                "nobody did that, the machine's memory was too small: train with fewer processes "
                "(TRACEKD_PROCESSES), or a smaller model (params.yaml: model)"
            )
    raise RuntimeError(error["traceback"])


def _work(
    rank: int,
    count: int,
    folder: Path,
    asked: Any,
    function: Callable[..., dict[str, Any]],
    arguments: Sequence[Any],
) -> None:
    """Be one of the processes: join the others, call the function, leave its result or error."""
    # Only the parent answers to signals, also if a terminal sends them to all; threads started
    # from here on do not receive them either.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()
    global _asked
    _asked = asked
    if rank:  # one process speaks for all
        sys.stdout = sys.stderr = Path(os.devnull).open("w")  # noqa: SIM115
    try:
        _join(rank, count, folder)
        result = function(*arguments)
        if rank == 0:
            write_json(folder / "result.json", result)
        dist.destroy_process_group()
    except Stopped:
        dist.destroy_process_group()  # its threads would abort a process that ends beside them
    except BaseException as error:
        user = isinstance(error, TracekdError) or (isinstance(error, OSError) and error.filename)
        content = {"message": str(error) if user else None, "traceback": traceback.format_exc()}
        if not (folder / "error.json").exists():  # the first is the cause of the others
            write_json(folder / "error.json", content)
        os._exit(1)  # without waiting for operations that need the other processes


def _join(rank: int, count: int, folder: Path) -> None:
    """Connect this process to the others, as torch's own launcher would have it."""
    os.environ["RANK"] = os.environ["LOCAL_RANK"] = str(rank)
    os.environ["WORLD_SIZE"] = os.environ["LOCAL_WORLD_SIZE"] = str(count)
    backend = "gloo"
    if torch.cuda.is_available() and _may_use_gpus():
        torch.cuda.set_device(rank)
        backend = "cpu:gloo,cuda:nccl"
    else:
        threads = max(1, torch.get_num_threads() // count)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))
        torch.set_num_threads(threads)
    where = f"file://{folder}/meeting"  # no port that another program may take
    dist.init_process_group(
        backend, init_method=where, rank=rank, world_size=count, timeout=_PATIENCE
    )


def _may_use_gpus() -> bool:
    return os.environ.get("TRACEKD_DEVICE", "cuda") == "cuda"


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
