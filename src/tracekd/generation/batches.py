"""Work in batches of similar length, resumed after those that an earlier run has finished."""

from collections.abc import Callable, Sequence
from typing import Any

from tracekd.progress import PartialResults, StopRequest, progress_bar


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
    partial: PartialResults,
    title: str,
) -> dict[int, Any]:
    """Return the result of each row of `batches`; a signal to stop ends the process at once.

    Args:
        batches: rows that are computed together; each row is in one batch.
        compute: returns a batch's results in its order, JSON-serializable.
        partial: results of an earlier run, which are not computed again.
        title: of the progress bar.
    """
    stop = StopRequest(lambda: f"{len(partial.values)} of {len(batches)} batches")
    results: dict[int, Any] = {}
    with progress_bar(sum(map(len, batches)), title, "answer") as bar, stop.listening():
        for batch in batches:
            made = partial.recall()
            if made is None:
                made = compute(batch)
                partial.append(made)
                stop.check()
            results.update(zip(batch, made, strict=True))
            bar.update(len(batch))
    return results
