"""Tables on disk: Parquet files that are whole, fit their schema and are found out if damaged.

Each file carries a digest of its other bytes: the SHA-256 of the SHA-256s of its chunks, which are
taken on all cores, and of the footer. Parquet itself has no digest of a whole file, and polars
reads damaged bytes as other values, or ends the process on them (a page that claims 2^61 bytes).
The digest stands between the last page and the footer: a reader finds pages by offsets from the
start and the footer from the end (https://parquet.apache.org/docs/file-format/), so any other
program reads these files too.
"""

import hashlib
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO

import polars as pl
from polars.io.plugins import register_io_source

from tracekd.errors import TracekdError
from tracekd.files import atomic_file
from tracekd.records import KEYS, Schema, check, check_unique

#: Rows that are compressed together; a stage that works in parts holds so many at a time.
ROW_GROUP = 10_000
#: Level 1 takes a third of the time of polars' own and a tenth more room.
_FORMAT: dict[str, Any] = {
    "compression": "zstd",
    "compression_level": 1,
    "statistics": False,
    "row_group_size": ROW_GROUP,
}
_MARK = b"tracekd sha-256 of chunks:"
_DIGEST = 32
_CHUNK = 1 << 22


def seal(path: Path) -> None:
    """Put the digest of a Parquet file into it."""
    with path.open("r+b") as file:
        footer = _footer(file)
        digest = _digest(file, file.tell() - len(footer), footer)
        file.seek(-len(footer), os.SEEK_END)
        file.write(_MARK + digest + footer)


def check_seal(path: Path) -> None:
    """Raise unless the file is there and byte for byte what was written.

    Raises:
        TracekdError: naming the file and what to do.
    """
    if not path.is_file():
        raise TracekdError(f"{path}: no such file; run the stage that makes it (dvc repro)")
    with path.open("rb") as file:
        footer = _footer(file)
        found = len(_MARK) + _DIGEST + len(footer)
        if (end := file.tell() - found) >= 0:
            file.seek(end)
            mark, digest = file.read(len(_MARK)), file.read(_DIGEST)
            if mark == _MARK and digest == _digest(file, end, footer):
                return
    raise TracekdError(
        f"{path}: damaged, or no table of this program's: its digest is not that of its bytes; "
        "delete it and run the stage that makes it (dvc repro)"
    )


def _footer(file: BinaryIO) -> bytes:
    """Read the last bytes of a Parquet file: metadata, their length in four bytes, a mark."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 8))
    length = int.from_bytes(file.read(4), "little") + 8
    file.seek(max(0, size - length))
    return file.read()


def _digest(file: BinaryIO, end: int, footer: bytes) -> bytes:
    """Return the digest of the first `end` bytes and the footer."""
    digest = hashlib.sha256()

    def of_chunk(start: int) -> bytes:
        chunk = os.pread(file.fileno(), min(_CHUNK, end - start), start)
        return hashlib.sha256(chunk).digest()

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        each = pool.map if end > _CHUNK else map
        for found in each(of_chunk, range(0, end, _CHUNK)):
            digest.update(found)
    digest.update(footer)
    return digest.digest()


def read(path: Path, schema: Schema, *, extra: bool = False) -> pl.DataFrame:
    """Read a Parquet table and check it.

    Raises:
        TracekdError: if the file is absent, is not what was written, or does not fit `schema`.
    """
    check_seal(path)
    return check(pl.read_parquet(path), schema, str(path), extra=extra)


def read_part(path: Path, schema: Schema, start: int) -> pl.DataFrame:
    """Read a row group of a Parquet table and check it.

    Args:
        path: the file, whose digest `part_starts` has checked.
        schema: as in `read`; that ids are unique is not checked.
        start: first row, one of `part_starts`.

    Raises:
        TracekdError: if the part does not fit `schema`.
    """
    return check(pl.scan_parquet(path).slice(start, ROW_GROUP).collect(), schema, str(path))


def read_columns(path: Path, schema: Schema, *, sealed: bool = True) -> pl.DataFrame:
    """Read some columns of a Parquet table and check them.

    Args:
        path: the file.
        schema: of these columns.
        sealed: check the digest, which `part_starts` may have done.

    Raises:
        TracekdError: as `read`.
    """
    if sealed:
        check_seal(path)
    table = pl.scan_parquet(path)
    there = [name for name in schema if name in table.collect_schema()]
    return check(table.select(there).collect(), schema, str(path))


def part_starts(path: Path) -> range:
    """Return the first row of each part of a Parquet table, at least one.

    Raises:
        TracekdError: as `read`.
    """
    return range(0, max(1, height(path)), ROW_GROUP)


def height(path: Path) -> int:
    """Return the number of rows of a Parquet table.

    Raises:
        TracekdError: as `read`.
    """
    check_seal(path)
    return int(pl.scan_parquet(path).select(pl.len()).collect().item())


def write(table: pl.DataFrame, path: Path, schema: Schema, *, extra: bool = False) -> None:
    """Check a table and write it as Parquet, whole or not at all."""
    checked = check(table, schema, str(path), extra=extra)
    with atomic_file(path) as temporary:
        checked.lazy().sink_parquet(temporary, **_FORMAT)
        seal(temporary)


def write_parts(
    parts: Iterable[pl.DataFrame], path: Path, schema: Schema, *, extra: Collection[str] = ()
) -> None:
    """Check parts of a table as they come and write them as Parquet, whole or not at all.

    No more than a row group is in the memory. How the rows are parted does not change the file.

    Args:
        parts: each with the same columns.
        path: where to.
        schema: as in `write`.
        extra: names of the further Float64 columns.
    """
    ids: list[pl.DataFrame] = []
    failure: list[Exception] = []

    def checked(*_: object) -> Iterator[pl.DataFrame]:
        try:
            for part in parts:
                ids.append(part.select(key for key in KEYS if key in part.columns))
                yield check(part, schema, str(path), extra=bool(extra))
            if ids:
                check_unique(pl.concat(ids), str(path))
        except Exception as error:
            failure.append(error)  # polars raises another one in its place
            raise

    with atomic_file(path) as temporary:
        try:
            columns = dict(schema) | dict.fromkeys(extra, pl.Float64)
            table = register_io_source(checked, schema=columns)
            table.sink_parquet(temporary, **_FORMAT)
        except pl.exceptions.PolarsError as error:
            raise (failure or [error])[0] from None
        seal(temporary)


def write_telling(
    parts: Iterable[pl.DataFrame],
    path: Path,
    schema: Schema,
    tell: Callable[[pl.DataFrame], pl.DataFrame],
    *,
    extra: Collection[str] = (),
) -> pl.DataFrame:
    """Do what `write_parts` does; return what `tell` makes of each part, as one table."""
    told: list[pl.DataFrame] = []

    def passing() -> Iterator[pl.DataFrame]:
        for part in parts:
            told.append(tell(part))
            yield part

    write_parts(passing(), path, schema, extra=extra)
    return pl.concat(told, rechunk=True)
