"""Questions in parts of bounded size: the whole of MS MARCO does not fit the memory."""

import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Self, TypeVar

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd import pools
from tracekd.errors import system_error
from tracekd.files import HeldFolder
from tracekd.records import QUESTIONS

#: Questions in a part; as many lie in the memory at a time, 20 MB of MS MARCO.
PART = 5_000
#: From so many parts on they lie in files.
_MOST_IN_MEMORY = 4
_PREFIX = "tracekd-parts-"

_Rows = NDArray[np.int64]
R = TypeVar("R")


class Questions:
    """Rows in the schema `tracekd.records.QUESTIONS`, in an order, part by part.

    Iterating gives each part as a table.
    """

    def __init__(
        self,
        parts: Sequence[pl.DataFrame | Path],
        rows: Sequence[_Rows],
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> None:
        """Keep what `of` and `collect` have found.

        Args:
            parts: tables, or Arrow files with tables.
            rows: of each part the rows that count, ascending.
            folder: where the files lie; it goes when the last questions in it do.
        """
        self._parts, self._rows, self._folder = parts, rows, folder
        self._ends = np.cumsum([0, *map(len, rows)])

    @classmethod
    def of(cls, questions: "pl.DataFrame | Questions") -> "Questions":
        """Return a table in parts; what is in parts already, as it is."""
        if isinstance(questions, Questions):
            return questions
        parts = list(questions.iter_slices(PART))
        return cls(parts, [np.arange(len(part)) for part in parts])

    @classmethod
    def collect(
        cls,
        parts: Iterable[tuple[pl.DataFrame | Path, _Rows]],
        folder: tempfile.TemporaryDirectory[str] | None = None,
    ) -> Self:
        """Return the tables together, in the memory if they are few and in files if many.

        Args:
            parts: each a table, or what `filed` returns of one, and the rows of it that count.
            folder: where the files lie that are there already.
        """
        kept: list[pl.DataFrame | Path] = []
        chosen = []
        in_files = False
        for part, rows in parts:
            if len(rows):
                kept.append(part)
                chosen.append(rows)
            in_files = in_files or isinstance(part, Path) or len(kept) > _MOST_IN_MEMORY
            if in_files:
                folder = folder or new_folder()
                kept = [filed(part, folder.name) for part in kept]
        return cls(kept, chosen, folder if in_files else None)

    @property
    def in_memory(self) -> bool:
        """Whether no part lies in a file."""
        return self._folder is None

    def __len__(self) -> int:
        """Return the number of questions."""
        return int(self._ends[-1])

    def __iter__(self) -> Iterator[pl.DataFrame]:
        """Give the parts in which there are rows."""
        for part, rows in zip(self._parts, self._rows, strict=True):
            if len(rows):
                yield _chosen(part, rows)

    def map(self, function: Callable[[pl.DataFrame], R], title: str) -> Iterator[R]:
        """Yield `function(part)` for each part in which there are rows, in order.

        On all cores if the parts lie in files; `function` must be picklable then. A bar that shows
        how far it is bears the `title`.
        """
        chosen = zip(self._parts, self._rows, strict=True)
        parts = ((part, rows) for part, rows in chosen if len(rows))
        results = pools.in_order(partial(_apply, function), parts, parallel=not self.in_memory)
        yield from pools.watched(results, len(self._parts), title)

    def select(self, rows: Iterable[int]) -> "Questions":
        """Return the questions at these places, in ascending order."""
        wanted = np.sort(np.fromiter(rows, dtype=np.int64))
        cuts = np.searchsorted(wanted, self._ends)
        chosen = [
            mine[wanted[start:end] - first]
            for mine, first, start, end in zip(
                self._rows, self._ends[:-1], cuts[:-1], cuts[1:], strict=True
            )
        ]
        return Questions(self._parts, chosen, self._folder)

    def table(self) -> pl.DataFrame:
        """Return all questions as one table."""
        whole: pl.DataFrame = pl.concat([pl.DataFrame(schema=dict(QUESTIONS)), *self])
        return whole


def _apply(function: Callable[[pl.DataFrame], R], part: tuple[pl.DataFrame | Path, _Rows]) -> R:
    return function(_chosen(*part))


def _chosen(part: pl.DataFrame | Path, rows: _Rows) -> pl.DataFrame:
    table = pl.scan_ipc(part).collect() if isinstance(part, Path) else part
    return table if len(rows) == len(table) else table[rows]


def new_folder() -> tempfile.TemporaryDirectory[str]:
    """Return a folder for parts; it goes when nothing refers to it any more.

    What killed processes left goes first: for the whole of MS MARCO it is gigabytes.
    """
    return HeldFolder(_PREFIX)


def filed(part: pl.DataFrame | Path, folder: str) -> Path:
    """Return the Arrow file of a part; a table is written into one in the folder.

    Raises:
        OSError: naming the folder of temporary files where the system takes no more.
    """
    if isinstance(part, Path):
        return part
    try:
        handle, name = tempfile.mkstemp(suffix=".arrow", dir=folder)
        os.close(handle)
        part.write_ipc(name, compression="uncompressed")  # packing takes as long as reading JSON
    except Exception as error:  # polars' own among them
        if (system := system_error(error)) is None:
            raise
        where = f"{folder} (temporary files; TMPDIR chooses another folder)"
        raise OSError(system.errno, system.strerror, where) from error
    return Path(name)
