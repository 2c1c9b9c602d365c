"""Raw text and JSON, read strictly: damage of a file is an error that names the place."""

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from tracekd.errors import TracekdError

_MEGABYTE = 1_000_000
_LARGE = 100 * _MEGABYTE
_AGAIN = "the file is damaged or was cut; fetch it again"


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


def text_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, without their ends.

    Raises:
        TracekdError: if a line is not UTF-8, or if the last one has no line end: in a format
            without closing marks that is the only sign of a cut file.
    """
    raw = path.read_bytes()
    if raw and not raw.endswith(b"\n"):
        line = raw.count(b"\n") + 1
        raise TracekdError(
            f"{path}:{line}: the last line has no line end: {_AGAIN} "
            "(or add the line end, if the line is whole)"
        )
    lines = raw.split(b"\n")[:-1]
    return [_decode(line, path, number).rstrip("\r") for number, line in enumerate(lines, 1)]


def json_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield each record of a JSON file (gzipped if so named) with its "file:line".

    JSON lines (LF or CRLF), one array, or one object of columns, `{"query": {"0": …}, …}`, as
    MS MARCO v2.1 is published. In an array or an object of columns the place is "file:record N".

    Raises:
        TracekdError: if the bytes are not UTF-8 or not JSON.
    """
    with _opened(path) as source:
        try:
            if _starts_an_array(source):
                yield from _elements(path, source.read())
            else:
                yield from _lines(path, source)
        except (EOFError, gzip.BadGzipFile) as error:
            raise TracekdError(f"{path}: not a whole gzip file: {_AGAIN}") from error


def _opened(path: Path) -> BinaryIO:
    if path.suffix == ".gz":
        return cast(BinaryIO, gzip.open(path, "rb"))
    return path.open("rb")


def _starts_an_array(source: BinaryIO) -> bool:
    start = source.read(4096)
    source.seek(0)
    return start.lstrip().startswith(b"[")


def _elements(path: Path, raw: bytes) -> Iterator[tuple[str, Any]]:
    try:
        records = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise _not_utf8(path, line, raw[error.start]) from error
    except json.JSONDecodeError as error:
        raise TracekdError(f"{path}:{error.lineno}: not JSON ({error.msg}): {_AGAIN}") from error
    for number, record in enumerate(records, 1):
        yield f"{path.name}:record {number}", record


def _lines(path: Path, source: BinaryIO) -> Iterator[tuple[str, Any]]:
    for number, line in enumerate(_watched(path, source), 1):
        if not line.strip():
            continue
        try:
            record = json.loads(_decode(line, path, number))
        except json.JSONDecodeError as error:
            raise TracekdError(f"{path}:{number}: not JSON ({error.msg}): {_AGAIN}") from error
        if _is_columns(record):
            yield from _from_columns(path, record)
        else:
            yield f"{path.name}:{number}", record


def _watched(path: Path, source: BinaryIO) -> Iterator[bytes]:
    """Yield the lines, with a bar if the file is so large that reading it takes seconds."""
    size = path.stat().st_size
    if size < _LARGE:
        yield from source
        return
    from tracekd.progress import progress_bar

    with progress_bar(round(size / _MEGABYTE), path.name, "MB") as bar:
        done = 0
        for line in source:
            before, done = done, done + len(line)
            if steps := done // _MEGABYTE - before // _MEGABYTE:
                bar.update(steps)
            yield line


def _is_columns(record: Any) -> bool:
    return (
        isinstance(record, dict)
        and len(record) > 1
        and all(isinstance(column, dict) for column in record.values())
    )


def _from_columns(path: Path, columns: dict[str, dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    keys = dict.fromkeys(key for column in columns.values() for key in column)
    for key in keys:
        record = {name: column[key] for name, column in columns.items() if key in column}
        yield f"{path.name}:record {key}", record


def _decode(line: bytes, path: Path, number: int) -> str:
    try:
        return line.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _not_utf8(path, number, line[error.start]) from error


def _not_utf8(path: Path, line: int, byte: int) -> TracekdError:
    return TracekdError(
        f"{path}:{line}: byte 0x{byte:02x} is not UTF-8; fetch the file again or convert it to "
        "UTF-8"
    )
