"""Raw files, read strictly: damage of a file is an error that names the place.

A byte order mark at the start of a file is skipped.
"""

import glob
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Collection, Iterator
from itertools import chain
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
        if not path.exists():
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
    *raw, rest = path.read_bytes().removeprefix(_BYTE_ORDER_MARK).split(b"\n")
    if rest:
        raise TracekdError(
            f"{path}:{len(raw) + 1}: the last line has no line end: {_AGAIN} (or add the line end, "
            "if the line is complete)"
        )
    lines = [
        _utf8(line, f"{path}:{number}").removesuffix("\r") for number, line in enumerate(raw, 1)
    ]
    for number, text in enumerate(lines, 1):
        if "\r" in text:
            raise TracekdError(
                f"{path}:{number}: a carriage return inside the line; convert the line ends of the "
                "file to LF"
            )
    return lines


def json_records(path: Path, chosen: Collection[int] | None = None) -> Iterator[tuple[str, Any]]:
    """Yield the records of a JSON file, gzipped or not, each with its place.

    The file has one record a line (the place is "file:line"), or one array ("file:record N"), or
    one object of columns, `{"query": {"0": …}, …}`, as MS MARCO v2.1 is published ("file:record
    KEY"). Lines and columns are read one record at a time, an array in one piece. `chosen` are the
    numbers, from 0, of the records to yield; None yields all.

    Raises:
        TracekdError: if the bytes are not UTF-8 or not JSON, or if an object has a duplicate key.
    """
    try:
        for place, record in _records(path, chosen):
            yield f"{path.name}:{place}", record
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TracekdError(f"{path}: not a complete gzip file: {_AGAIN}") from error


def _records(path: Path, chosen: Collection[int] | None) -> Iterator[tuple[str, Any]]:
    with open_raw(path) as source:
        raw = source.read(_START)
        start = raw.removeprefix(_BYTE_ORDER_MARK)
        source.seek(len(raw) - len(start))
        if start.lstrip().startswith(b"["):
            for number, record in enumerate(_parsed(source.read(), path, "1")):
                if chosen is None or number in chosen:
                    yield f"record {number + 1}", record
            return
        first = source.readline(_LONGEST_RECORD)
        if _is_columns(start, first):
            yield from json_columns.records(path, open_raw, _parsed, chosen)
            return
        first += b"" if first.endswith(b"\n") else source.readline()
        lines = ((n, line) for n, line in enumerate(chain([first], source), 1) if line.strip())
        for number, (place, text) in enumerate(lines):
            if chosen is None or number in chosen:
                yield str(place), _parsed(text, path, str(place))


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
        for number, row in enumerate(chain.from_iterable(b.to_pylist() for b in batches)):
            if chosen is None or number in chosen:
                yield f"{path.name}:row {number + 1}", row
    except (ValueError, OSError, datasets.exceptions.DatasetsError) as error:
        cause = " ".join(str(error).split())[:200]
        raise TracekdError(
            f"{path}: not a parquet file after row {number} ({cause}): {_AGAIN}"
        ) from error


def open_raw(path: Path) -> BinaryIO:
    """Open a file for reading; one that is gzipped is unpacked."""
    with path.open("rb") as source:
        packed = source.read(len(_GZIP)) == _GZIP
    return cast(BinaryIO, gzip.open(path)) if packed else path.open("rb")


def _is_columns(start: bytes, first_line: bytes) -> bool:
    if not json_columns.OPENING.match(start):
        return False
    try:  # A record, too, may begin with an object: `{"passages": {"url": …`.
        return all(isinstance(value, dict) for value in json.loads(first_line).values())
    except (ValueError, RecursionError):
        return True


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
    # Of this module, or something that Python does not read: 4,300 digits, nested too deeply.
    except (ValueError, RecursionError) as error:
        raise TracekdError(f"{path}:{place}: {error}") from error


def _utf8(raw: bytes, place: str) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise TracekdError(
            f"{place}: byte 0x{raw[error.start]:02x} is not UTF-8; fetch the file again or convert "
            "it to UTF-8"
        ) from error
