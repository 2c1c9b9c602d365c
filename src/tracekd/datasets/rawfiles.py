"""Raw text and JSON, read strictly: damage of a file is an error that names the place.

A byte order mark at the start of a file is skipped. JSON is read as the standard has it: what
Python would let pass (NaN and Infinity, a key that stands twice in an object) is an error, as
something would be lost or made up otherwise. orjson reads it; what orjson refuses, or may have
taken for something else, Python's own reader reads again and tells the fault.
"""

import gzip
import io
import json
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
import orjson

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
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_QUOTE, _BACKSLASH, _COLON, _SPACES = 0x22, 0x5C, 0x3A, tuple(b" \t\r\n")
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


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files in `folder` that match, sorted; folders and dangling links apart."""
    return sorted(path for path in folder.glob(pattern) if path.is_file())


def text_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, without their ends (LF or CRLF).

    Raises:
        TracekdError: if a line is not UTF-8 or has a carriage return in its midst, or if the last
            one has no line end: in a format without closing marks that is the only sign of a cut
            file.
    """
    raw = path.read_bytes().removeprefix(BYTE_ORDER_MARK)
    if raw and not raw.endswith(b"\n"):
        line = raw.count(b"\n") + 1
        raise TracekdError(
            f"{path}:{line}: the last line has no line end: {_AGAIN} "
            "(or add the line end, if the line is whole)"
        )
    lines = raw.split(b"\n")[:-1]
    return [_text_line(line, path, number) for number, line in enumerate(lines, 1)]


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
            if start.lstrip().startswith(b"["):
                yield from _elements(path, source.read())
            else:
                yield from line_records(path, _watched(path, source, packed))
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise TracekdError(f"{path}: not a whole gzip file: {_AGAIN}") from error


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
    from tracekd.progress import progress_bar

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
        yield f"{path.name}:record {_shown(key)}", record


class _FaultError(ValueError):
    """JSON that Python lets pass and this module does not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _FaultError(f"the key {_shown(twice)!r} stands twice in an object; leave one")
    return made


def _constant(name: str) -> Any:
    raise _FaultError(f"{name} is not a JSON value; write null or a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def parsed(raw: bytes, path: Path, first_line: int) -> Any:
    """Return what JSON holds that begins on the line `first_line` of the file.

    Raises:
        TracekdError: if it is not UTF-8 or not JSON.
    """
    try:
        value = orjson.loads(raw)
        if _size(value) == _keys(raw):
            return value
    except (orjson.JSONDecodeError, RecursionError, _DoubtError):
        pass
    return _strictly_parsed(raw, path, first_line)


class _DoubtError(ValueError):
    """The two JSON readers may differ."""


def _size(value: Any) -> int:
    """Return the number of keys in all objects of a value.

    Raises:
        _DoubtError: at a float, which may have been a whole number of many digits.
    """
    kind = type(value)
    if kind is str or kind is int:
        return 0
    if kind is list:
        return sum(map(_size, value))
    if kind is dict:
        return len(value) + sum(map(_size, value.values()))
    if kind is float:
        raise _DoubtError
    return 0


def _keys(raw: bytes) -> int:
    """Return the number of keys in JSON text without faults, those that stand twice too."""
    text = np.frombuffer(raw + b" .", dtype=np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    behind = quotes[(quotes > 0) & (text[quotes - 1] == _BACKSLASH)]
    if len(behind):
        escaped = [place for place in behind.tolist() if _is_escaped(raw, place)]
        quotes = np.setdiff1d(quotes, escaped, assume_unique=True)
    follows = quotes[1::2] + 1
    while (space := np.isin(text[follows], _SPACES)).any():
        follows = follows + space
    return int((text[follows] == _COLON).sum())


def _is_escaped(raw: bytes, place: int) -> bool:
    before = place
    while before and raw[before - 1] == _BACKSLASH:
        before -= 1
    return (place - before) % 2 == 1


def _strictly_parsed(raw: bytes, path: Path, first_line: int) -> Any:
    text = _utf8(raw, path, first_line)
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"{path}:{first_line + error.lineno - 1}"
        raise TracekdError(f"{place}: not JSON ({error.msg}): {_AGAIN}") from error
    except _FaultError as error:
        raise TracekdError(f"{path}:{first_line}: {error}") from error
    except RecursionError as error:
        raise TracekdError(f"{path}:{first_line}: JSON nested too deeply: {_AGAIN}") from error
    except ValueError as error:  # Python reads no number of more than 4300 digits
        raise TracekdError(
            f"{path}:{first_line}: a number with thousands of digits: {_AGAIN}"
        ) from error


def _shown(key: str) -> str:
    """Return a key as it can be shown: short, one line, and no half of a surrogate pair."""
    return json.dumps(key)[1:-1][:60]


def _text_line(line: bytes, path: Path, number: int) -> str:
    text = _utf8(line, path, number).rstrip("\r")
    if "\r" in text:
        raise TracekdError(
            f"{path}:{number}: a carriage return inside the line; convert the line ends of the "
            "file to LF"
        )
    return text


def _utf8(raw: bytes, path: Path, first_line: int) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        line = first_line + raw.count(b"\n", 0, error.start)
        raise TracekdError(
            f"{path}:{line}: byte 0x{raw[error.start]:02x} is not UTF-8; fetch the file again or "
            "convert it to UTF-8"
        ) from error
