"""Raw files, read strictly: damage of a file is an error that names the place.

A byte order mark at the start of a file is skipped.
"""

import glob
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from tracekd.datasets import json_columns
from tracekd.errors import TracekdError

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_GZIP = b"\x1f\x8b"
_AGAIN = "the file is damaged or incomplete; fetch it again"
#: Bytes at the start of a file that show its format.
_START = 1 << 12
#: No record is as long; a longer first line is an object of columns.
_LONGEST_RECORD = 1 << 24
#: Rows of a parquet file that are in memory at a time.
_ROWS = 5000


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return the files in `folder` that match, sorted; folders are left out.

    Raises:
        TracekdError: if one is a link to nothing.
    """
    found = sorted(folder.glob(pattern))
    for path in found:
        if path.is_symlink() and not path.exists():
            raise TracekdError(
                f"{path}: a link to {path.readlink()}, which does not exist; fetch it (dvc pull, "
                "if DVC keeps the raw data) or delete the link"
            )
    return [path for path in found if path.is_file()]


def text_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, without their ends (LF or CRLF).

    Raises:
        TracekdError: if a line is not UTF-8 or contains a carriage return, or if the last one has
            no line end: in a format without closing marks that is the only sign of a cut file.
    """
    raw = path.read_bytes().removeprefix(_BYTE_ORDER_MARK)
    if raw and not raw.endswith(b"\n"):
        line = raw.count(b"\n") + 1
        raise TracekdError(
            f"{path}:{line}: the last line has no line end: {_AGAIN} (or add the line end, if the "
            "line is complete)"
        )
    lines = [
        _utf8(line, f"{path}:{number}").rstrip("\r")
        for number, line in enumerate(raw.split(b"\n")[:-1], 1)
    ]
    for number, text in enumerate(lines, 1):
        if "\r" in text:
            raise TracekdError(
                f"{path}:{number}: a carriage return inside the line; convert the line ends of the "
                "file to LF"
            )
    return lines


def json_records(path: Path, chosen: Collection[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the records of a JSON file (gzipped if its name ends in .gz), each with its place.

    The file has one record a line (the place is "file:line"), or one array ("file:record N"), or
    one object of columns, `{"query": {"0": …}, …}`, as MS MARCO v2.1 is published ("file:record
    KEY"). Lines and columns are read one record at a time, an array in one piece.

    Args:
        path: the file.
        chosen: numbers, from 0, of the records to yield; None yields all.

    Raises:
        TracekdError: if the bytes are not UTF-8 or not JSON, or if an object has a duplicate key.
    """
    try:
        with open_raw(path) as source:
            start = source.read(_START)
            source.seek(0)
            if start.startswith(_BYTE_ORDER_MARK):
                source.read(len(_BYTE_ORDER_MARK))
            elif start.startswith(_GZIP):
                raise TracekdError(f"{path}: is gzipped; add .gz to its name, or unpack it")
            start = start.removeprefix(_BYTE_ORDER_MARK).lstrip()
            if start.startswith(b"["):
                array = _parsed(source.read(), path, "1")
                yield from (
                    (f"{path.name}:record {number + 1}", record)
                    for number, record in enumerate(array)
                    if chosen is None or number in chosen
                )
                return
            first = source.readline(_LONGEST_RECORD)
            if _is_columns(start, first):
                for place, record in json_columns.records(path, open_raw, _parsed, chosen):
                    yield f"{path.name}:{place}", record
                return
            for number, (place, text) in enumerate(_lines(first, source)):
                if chosen is None or number in chosen:
                    yield f"{path.name}:{place}", _parsed(text, path, place)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TracekdError(f"{path}: not a complete gzip file: {_AGAIN}") from error


def parquet_records(path: Path, chosen: Collection[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a parquet file, each with its "file:row N"; see `json_records`.

    Raises:
        TracekdError: if it is damaged.
    """
    import datasets

    number = 0
    try:
        rows = datasets.load_dataset(
            "parquet", data_files=glob.escape(str(path)), split="train", streaming=True
        )
        batches = rows.with_format("arrow").iter(batch_size=_ROWS)
        for number, row in enumerate(row for batch in batches for row in batch.to_pylist()):
            if chosen is None or number in chosen:
                yield f"{path.name}:row {number + 1}", row
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        cause = " ".join(str(error).split())[:200]
        raise TracekdError(
            f"{path}: not a parquet file after row {number} ({cause}): {_AGAIN}"
        ) from error


def open_raw(path: Path) -> BinaryIO:
    """Open a file, gzipped or not, for reading."""
    return cast(BinaryIO, gzip.open(path)) if path.suffix == ".gz" else path.open("rb")


def _is_columns(start: bytes, first_line: bytes) -> bool:
    if not json_columns.OPENING.match(start):
        return False
    try:  # A record, too, may begin with an object: `{"passages": {"url": …`.
        return all(isinstance(value, dict) for value in json.loads(first_line).values())
    except (ValueError, RecursionError):
        return True


def _lines(first: bytes, source: BinaryIO) -> Iterator[tuple[str, bytes]]:
    number, line = 1, first
    while line:
        if line.strip():
            yield str(number), line
        number, line = number + 1, source.readline()


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        duplicate = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"duplicate key {json_columns.shown(duplicate)!r} in an object; keep one")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value; write null or a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _parsed(raw: bytes, path: Path, place: str) -> Any:
    try:
        return _DECODER.decode(_utf8(raw, f"{path}:{place}"))
    except json.JSONDecodeError as error:
        line = str(int(place) + error.lineno - 1) if place.isdecimal() else place
        raise TracekdError(
            f"{path}:{line}: not JSON (column {error.colno}: {error.msg}): {_AGAIN}"
        ) from error
    except RecursionError as error:
        raise TracekdError(f"{path}:{place}: JSON nested too deeply: {_AGAIN}") from error
    except ValueError as error:  # of this module; and Python reads no number of 4,300 digits
        raise TracekdError(f"{path}:{place}: {error}") from error


def _utf8(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TracekdError(
            f"{place}: byte 0x{raw[error.start]:02x} is not UTF-8; fetch the file again or convert "
            "it to UTF-8"
        ) from error
