"""Work in batches of similar length, resumed after those that an earlier run has finished."""

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tracekd.errors import TracekdError
from tracekd.progress import StopRequest, progress_bar


def length_batches(lengths: Sequence[int], batch_size: int) -> list[list[int]]:
    """Return all rows in batches of similar length, longest first.

    Longest first: if memory does not suffice, that shows at once, and the bar's estimate of the
    time left errs on the long side.
    """
    rows = sorted(range(len(lengths)), key=lambda row: -lengths[row])
    return [rows[start : start + batch_size] for start in range(0, len(rows), batch_size)]


def in_batches(
    batches: Sequence[list[int]],
    compute: Callable[[list[int]], list[Any]],
    partial: Path,
    title: str,
) -> dict[int, Any]:
    """Return the result of each row of `batches`; a signal to stop ends the process after a batch.

    `compute` returns a batch's results in its order, JSON-serializable; the file `partial` keeps
    them, a line each. Batches that an earlier run left there are not computed again; a line cut off
    by a kill is dropped.
    """
    results: dict[int, Any] = {}
    partial.touch()
    with (
        partial.open("r+b") as file,
        progress_bar(sum(map(len, batches)), title, "answer") as bar,
        StopRequest() as stop,
    ):
        content = file.read()
        whole = content[: content.rfind(b"\n") + 1]
        file.truncate(len(whole))
        file.seek(len(whole))
        kept = [json.loads(line) for line in whole.splitlines()]
        for number, batch in enumerate(batches, 1):
            if number <= len(kept):
                made = kept[number - 1]
            else:
                made = _compute(compute, batch)
                file.write(json.dumps(made).encode() + b"\n")
                file.flush()
                os.fsync(file.fileno())
                stop.check(f"{number} of {len(batches)} batches")
            results.update(zip(batch, made, strict=True))
            bar.update(len(batch))
    return results


def _compute(compute: Callable[[list[int]], list[Any]], batch: list[int]) -> list[Any]:
    import torch

    try:
        return compute(batch)
    except torch.OutOfMemoryError as error:
        raise TracekdError(
            f"out of memory with a batch of {len(batch)}; lower infer.batch_size (params.yaml)"
        ) from error
