"""Raw files, read strictly: damage of a file is an error that names the place.

A byte order mark at the start of a file is skipped.
"""

import glob
import gzip
import json
import zlib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, cast

from tracekd.datasets import json_columns
from tracekd.errors import TracekdError

_GZIP = b"\x1f\x8b"
_AGAIN = "the file is damaged or incomplete; fetch it again"
#: Bytes at the start of a file that show its format.
_START = 1 << 12
#: Rows of a parquet file that are in memory at a time.
_ROWS = 5000


def files(folder: Path, pattern: str = "*") -> list[Path]:
    """Return what is in `folder` and matches, sorted, but no folders.

    A link to nothing is among them: to open it is an error, to ignore it would lose data.
    """
    return [path for path in sorted(folder.glob(pattern)) if not path.is_dir()]


def text_lines(path: Path) -> list[str]:
    """Return the lines of a UTF-8 text file, without their ends (LF, CRLF or CR).

    Raises:
        TracekdError: if the file is not UTF-8, or if its last line has no line end: in a format
            without closing marks that is the only sign of a cut file.
    """
    try:
        *lines, rest = path.read_text(encoding="utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise TracekdError(f"{path}: {error}; fetch it again or convert it to UTF-8") from error
    if rest:
        raise TracekdError(
            f"{path}:{len(lines) + 1}: the last line has no line end: {_AGAIN} (or add the line "
            "end, if the line is complete)"
        )
    return lines


def json_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the records of a JSON file, gzipped or not, each with its place.

    The file has one record a line (the place is "file:line"), or one array ("file:record N"), or
    one object of columns, `{"query": {"0": …}, …}`, as MS MARCO v2.1 is published ("file:record
    KEY"). Lines and columns are read one record at a time, an array in one piece.

    Raises:
        TracekdError: if the bytes are not UTF-8 or not JSON, or if an object has a duplicate key.
    """
    try:
        for place, record in _records(path):
            yield f"{path.name}:{place}", record
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise TracekdError(f"{path}: not a complete gzip file: {_AGAIN}") from error
    except (UnicodeDecodeError, RecursionError) as error:
        raise TracekdError(f"{path}: {error}: {_AGAIN}") from error


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    with open_raw(path) as source:
        start = source.read(_START)
        source.seek(0)
        if json_columns.OPENING.match(start):
            yield from json_columns.records(path, open_raw, _DECODER)
        elif start.decode("utf-8-sig", errors="replace").lstrip().startswith("["):
            for number, record in enumerate(_parsed(source.read(), path, 1), 1):
                yield f"record {number}", record
        else:
            for number, line in enumerate(source, 1):
                if line.strip():
                    yield str(number), _parsed(line, path, number)


def parquet_records(path: Path) -> Iterator[tuple[str, Any]]:
    """Yield the rows of a parquet file, each with its place, "file:row N".

    Raises:
        TracekdError: if it is damaged.
    """
    import datasets

    number = 0
    try:
        rows = datasets.load_dataset(
            "parquet", data_files=glob.escape(str(path)), split="train", streaming=True
        )
        for batch in rows.with_format("arrow").iter(batch_size=_ROWS):
            for row in batch.to_pylist():
                number += 1
                yield f"{path.name}:row {number}", row
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


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        duplicate = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise ValueError(f"duplicate key {duplicate!a:.60} in an object; keep one")
    return made


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value; write null or a number")


_DECODER = json.JSONDecoder(object_pairs_hook=_object, parse_constant=_constant)


def _parsed(raw: bytes, path: Path, line: int) -> Any:
    try:
        return _DECODER.decode(raw.decode("utf-8-sig"))
    except json.JSONDecodeError as error:
        raise TracekdError(
            f"{path}:{line + error.lineno - 1}: not JSON (column {error.colno}: {error.msg}): "
            f"{_AGAIN}"
        ) from error
    # Not UTF-8, refused above, or beyond what Python reads: 4,300 digits, nested too deeply.
    except (ValueError, RecursionError) as error:
        raise TracekdError(f"{path}:{line}: {error}") from error
