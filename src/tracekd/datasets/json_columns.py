r"""One JSON object of columns, `{"query": {"0": …, "1": …}, "answers": {"0": …, …}}`, by records.

This is how MS MARCO v2.1 is published: gigabytes on one line. Each column is read at its own
position of the file, all in step, so that few records are in memory at a time. A column is found by
its first key, and a value ends where the next key begins: inside a JSON string quotes are escaped,
so that `"1":` is never a part of one.
"""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from tracekd.errors import TracekdError

#: The start of the file, up to the first key of the first column.
OPENING = re.compile(rb'\s*\{\s*"[^"\\]*"\s*:\s*\{\s*("[^"\\]*")\s*:')
_FIRST_NAME = re.compile(rb'^\s*\{\s*"([^"\\]*)"\s*:\s*$')
_NEXT_NAME = re.compile(rb'\}\s*,\s*"([^"\\]*)"\s*:\s*$')
_END = re.compile(rb"\}\s*\}\s*$")
#: Bytes that are read at a time; bytes that hold a column's name; the longest value.
_PIECE, _NAME, _LONGEST = 1 << 22, 200, 1 << 26

_Column = tuple[str, int, int]


def texts(path: Path, open_file: Callable[[Path], BinaryIO]) -> Iterator[tuple[str, bytes]]:
    """Yield the JSON text of each record, with "record KEY" as its place.

    Raises:
        TracekdError: if the columns do not have the same keys in the same order.
    """
    with open_file(path) as source:
        columns = _columns(source, path)
        name, start, end = min(columns, key=lambda column: column[2] - column[1])
        source.seek(start)
        try:
            keys = list(json.loads(b"{%b}" % source.read(end - start)))
        except ValueError as error:
            raise _fault(path, f"column {name}: {error}") from error
    opened = [(column, open_file(path)) for column in columns]
    try:
        values = [_values(source, path, column, keys) for column, source in opened]
        for key, *record in zip(keys, *values, strict=True):
            members = [
                json.dumps(name).encode() + b":" + value
                for (name, _, _), value in zip(columns, record, strict=True)
            ]
            yield f"record {json.dumps(key)[1:-1][:60]}", b"{" + b",".join(members) + b"}"
    finally:
        for _, source in opened:
            source.close()


def _columns(source: BinaryIO, path: Path) -> list[_Column]:
    """Return the name of each column, and where its members start and end."""
    starts: dict[str, int] = {}
    ends: list[int] = []
    source.seek(0)
    text, position = source.read(_PIECE), 0
    opening = OPENING.search(text)
    if opening is None:
        raise _fault(path, "it does not begin with a column")
    # Searching for the brace is fast: braces are rarer than quotes.
    brace = re.compile(rb"\{\s*(?=" + re.escape(opening[1]) + rb"\s*:)")
    while True:
        for match in brace.finditer(text, _NAME if starts else 0):
            before = max(0, match.start() - _NAME)
            name = (_NEXT_NAME if starts else _FIRST_NAME).search(text[before : match.start()])
            if name and name[1].decode() not in starts:
                if starts:
                    ends.append(position + before + name.start())
                starts[name[1].decode()] = position + match.end()
        if not (piece := source.read(_PIECE)):
            break
        # What might have been cut off is searched again.
        cut = max(0, len(text) - 2 * _NAME)
        text, position = text[cut:] + piece, position + cut
    tail = max(0, len(text) - _NAME)
    last = _END.search(text[tail:])
    if last is None:
        raise _fault(path, "it does not end with a column")
    ends.append(position + tail + last.start())
    return [(name, start, end) for (name, start), end in zip(starts.items(), ends, strict=True)]


def _values(source: BinaryIO, path: Path, column: _Column, keys: list[str]) -> Iterator[bytes]:
    """Yield the JSON text of each value of a column."""
    name, start, end = column
    spelled = [json.dumps(key).encode() for key in keys]
    source.seek(start)
    number, text, left = 0, b"", end - start
    while left and len(text) < _LONGEST:
        text += source.read(min(_PIECE, left))
        left = end - source.tell()
        place = 0
        while number + 1 < len(keys):
            found = _next(spelled[number + 1], text, place + len(spelled[number]))
            if found is None:
                break
            yield _value(text[place : found[0]], spelled[number])
            place, number = found[1], number + 1
        text = text[place:]
    if number + 1 < len(keys):
        raise _fault(path, f"column {name} has no key {keys[number + 1]!r} after {keys[number]!r}")
    yield _value(text, spelled[number])


def _next(key: bytes, text: bytes, start: int) -> tuple[int, int] | None:
    """Return the places of the comma before a key and of the key."""
    while (place := text.find(key, start)) >= 0:
        before = text[max(0, place - _NAME) : place].rstrip()
        after = text[place + len(key) : place + len(key) + _NAME].lstrip()
        if before.endswith(b",") and after.startswith(b":"):
            return text.rindex(b",", 0, place), place
        start = place + len(key)
    return None


def _value(member: bytes, key: bytes) -> bytes:
    return member[len(key) :].lstrip().removeprefix(b":")


def _fault(path: Path, what: str) -> TracekdError:
    return TracekdError(
        f"{path}: not an object of columns that have the same keys in the same order ({what}); "
        "fetch the file again, or convert it to one record per line"
    )
