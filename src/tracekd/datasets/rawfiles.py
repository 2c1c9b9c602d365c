"""Raw files, read strictly: damage of a file is an error that names the place."""

import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from tracekd.datasets.rawtext import AGAIN, BYTE_ORDER_MARK, shown
from tracekd.datasets.strictjson import parsed
from tracekd.errors import TracekdError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_MEGABYTE = 1_000_000
#: Sizes on disk from which on reading takes seconds and shows a bar; packed text is five times it.
_LARGE, _LARGE_PACKED = 100 * _MEGABYTE, 20 * _MEGABYTE
#: Text packs to a tenth or a twentieth. A small file that unpacks without end fills the memory.
_MOST_UNPACKED = 200
_ALWAYS_UNPACKED = 100 * _MEGABYTE
_BUFFER = 1 << 17
_GZIP = b"\x1f\x8b"
#: Rows of a parquet file that become Python objects at a time.
_ROWS = 1000


def existing_folder(folder: Path | None, reader: str) -> Path:
    """Return `folder`.

    Raises:
        TracekdError: if there is none.
    """
    if folder is None:
        raise TracekdError(f"the reader {reader} reads files: set path or hub in datasets.yaml")
    if not folder.is_dir():
        raise TracekdError(
            f"{folder}: no such folder; set path in datasets.yaml to the folder with the raw files"
        )
    return folder


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files in `folder` that match, sorted; folders apart.

    Raises:
        TracekdError: if one is a link to nothing.
    """
    found = sorted(folder.glob(pattern))
    for path in found:
        if path.is_symlink() and not path.exists():
            raise TracekdError(
                f"{path}: a link to {path.readlink()}, which is not there; fetch it (dvc pull, if "
                "DVC keeps the raw data) or delete the link"
            )
    return [path for path in found if path.is_file()]


def json_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each record of a JSON file (gzipped if so named) with its "file:line".

    JSON lines (LF or CRLF), one array, or one object of columns, `{"query": {"0": …}, …}`, as
    MS MARCO v2.1 is published. In an array or an object of columns the place is "file:record N".

    Raises:
        TracekdError: if the bytes are not UTF-8 or not JSON, or unpack to far more than text does.
    """
    with _opened(path) as (source, packed):
        try:
            start = source.peek(len(BYTE_ORDER_MARK))
            if start.startswith(BYTE_ORDER_MARK):
                source.read(len(BYTE_ORDER_MARK))
                start = source.peek(1)
            if path.suffix != ".gz" and start.startswith(_GZIP):
                raise TracekdError(
                    f"{path}:1: packed by gzip, which its name does not say; add .gz to it or "
                    "unpack it"
                )
            if start.lstrip().startswith(b"["):
                yield from _elements(path, source.read())
            elif is_indented(start):
                yield from line_records(path, [source.read()])
            else:
                yield from line_records(path, _watched(path, source, packed))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise TracekdError(f"{path}: not a whole gzip file: {AGAIN}") from error


def parquet_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each row of a parquet file with its "file:row N".

    Raises:
        TracekdError: if it is damaged.
    """
    import pyarrow  # type: ignore[import-untyped]
    import pyarrow.parquet  # type: ignore[import-untyped]

    number = 0
    try:
        with pyarrow.parquet.ParquetFile(path) as source:
            for batch in source.iter_batches(batch_size=_ROWS):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path.name}:row {number}", row
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        cause = " ".join(str(error).split())[:200]
        raise TracekdError(
            f"{path}: not a parquet file behind row {number} ({cause}): {AGAIN}"
        ) from error


def is_indented(start: bytes) -> bool:
    """Return whether a file that begins so holds one object over several lines, no JSON lines."""
    first, end, _ = start.lstrip().partition(b"\n")
    return bool(end) and first.rstrip() == b"{"


@contextmanager
def _opened(path: Path) -> Iterator[tuple[io.BufferedReader, BinaryIO]]:
    """Give the file's bytes, unpacked if need be, and the file itself, whose position moves on."""
    with path.open("rb") as stored:
        if path.suffix != ".gz":
            yield stored, stored
            return
        with gzip.GzipFile(fileobj=stored) as unpacked:
            bounded = _Bounded(cast(BinaryIO, unpacked), path)
            yield io.BufferedReader(bounded, _BUFFER), stored


class _Bounded(io.RawIOBase):
    """The bytes of a gzip file; an error as soon as they are too many for its size."""

    def __init__(self, source: BinaryIO, path: Path) -> None:
        self._source, self._path = source, path
        self._left = max(_ALWAYS_UNPACKED, _MOST_UNPACKED * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: "WriteableBuffer") -> int:
        view = memoryview(buffer)
        chunk = self._source.read(len(view))
        self._left -= len(chunk)
        if self._left < 0:
            raise TracekdError(
                f"{self._path}: unpacks to more than {_MOST_UNPACKED} times its size, which no "
                "text does; unpack it by hand if it is what you expect"
            )
        view[: len(chunk)] = chunk
        return len(chunk)


def _elements(path: Path, raw: bytes) -> Iterator[tuple[str, Any]]:
    for number, record in enumerate(parsed(raw, path, 1), 1):
        yield f"{path.name}:record {number}", record


def line_records(path: Path, lines: Iterable[bytes], first: int = 1) -> Iterator[tuple[str, Any]]:
    """Yield the record of each line that is not blank, with its "file:line".

    A line may hold an object of columns, and gives all its records then.

    Args:
        path: the file, for the places.
        lines: with their ends.
        first: number of the first one.

    Raises:
        TracekdError: if a line is not UTF-8 or not JSON.
    """
    for number, line in enumerate(lines, first):
        if not line.strip():
            continue
        record = parsed(line, path, number)
        if _is_columns(record):
            yield from column_records(path, record)
        else:
            yield f"{path.name}:{number}", record


def _watched(path: Path, source: BinaryIO, packed: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, with a bar if the file is so large that reading it takes seconds."""
    size = path.stat().st_size
    if size < (_LARGE if source is packed else _LARGE_PACKED):
        yield from source
        return
    from tracekd.bars import progress_bar

    with progress_bar(round(size / _MEGABYTE), path.name, "MB") as bar:
        unseen = 0
        for line in source:
            unseen += len(line)
            if unseen >= _MEGABYTE:
                unseen = 0
                bar.update(packed.tell() // _MEGABYTE - bar.n)
            yield line
        bar.update(bar.total - bar.n)


def _is_columns(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and len(record) > 1
        and all(isinstance(column, dict) for column in record.values())
    )


def column_records(path: Path, columns: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    """Yield the records of an object of columns, each with its "file:record KEY"."""
    keys = dict.fromkeys(key for column in columns.values() for key in column)
    for key in keys:
        record = {name: column[key] for name, column in columns.items() if key in column}
        yield column_place(path, key), record


def column_place(path: Path, key: str) -> str:
    """Return the place of a record in an object of columns."""
    return f"{path.name}:record {shown(key)}"
