r"""A large JSON file cut into blocks that can be read apart, each in a process of its own.

JSON lines are cut at line ends. One object of columns, `{"query": {"0": …}, "answers": {"0": …}}`,
is cut at the same keys in every column: what stands between two keys is, in braces, an object.
Quotes inside a JSON string are escaped, so that `"0":` is never a part of one. Whether a cut was
right is seen when a block is read: its columns must be whole and have the same keys. If not, the
file is not of this form and must be read as a whole, which also tells what is wrong with it.
"""

import io
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from tracekd.datasets import rawfiles
from tracekd.datasets.rawtext import BYTE_ORDER_MARK
from tracekd.datasets.strictjson import parsed
from tracekd.errors import TracekdError

_FIRST = re.compile(rb'\s*\{\s*"[^"\\]*"\s*:\s*\{\s*("[^"\\]*")\s*:')
_OPENS = re.compile(rb'(?:^\s*\{|\}\s*,)\s*"([^"\\]*)"\s*:\s*\{\s*$')
_COLON = re.compile(rb"\s*:")
_COMMA = re.compile(rb",\s*$")
_CLOSES, _CLOSES_LAST = re.compile(rb"\}\s*,\s*$"), re.compile(rb"\}\s*\}\s*$")
#: Bytes before a key in which its column's name and the brace behind it stand.
_BACK = 200
#: Of the way to where a key would stand if all were evenly long, the share that is not searched.
_SKIPPED = 0.9
#: Bytes that are searched at a time.
_SEARCHED = 1 << 20


class UnevenError(ValueError):
    """The file cannot be read in blocks."""


@dataclass(frozen=True)
class Block:
    """A part of a file.

    Attributes:
        first_line: number of the first line, of JSON lines.
        columns: name -> first byte and end of some members of the column; empty for JSON lines.
        start, end: the bytes, of JSON lines.
    """

    path: Path
    columns: tuple[tuple[str, int, int], ...] = ()
    start: int = 0
    end: int = 0
    first_line: int = 1

    @property
    def size(self) -> int:
        """Bytes in the block."""
        return self.end - self.start + sum(end - start for _, start, end in self.columns)


@dataclass(frozen=True)
class _Column:
    name: str
    start: int
    end: int


class _Raw:
    """The bytes of a file; mapped into the memory they would count as the process's own."""

    def __init__(self, source: BinaryIO) -> None:
        self._source = source
        self.size = source.seek(0, io.SEEK_END)

    def read(self, start: int, end: int) -> bytes:
        self._source.seek(start)
        return self._source.read(end - start)

    def find(self, needle: bytes, start: int, end: int) -> int:
        """Return where `needle` begins between two places; -1 if it does not stand there."""
        while start < end:
            stop = min(end, start + _SEARCHED + len(needle) - 1)
            if (place := self.read(start, stop).find(needle)) >= 0:
                return start + place
            start += _SEARCHED
        return -1

    def behind(self, pattern: re.Pattern[bytes], start: int, end: int) -> int:
        """Return where the first match, of `_BACK` bytes at most, ends; -1 if there is none."""
        while start < end:
            stop = min(end, start + _SEARCHED + _BACK)
            if match := pattern.search(self.read(start, stop)):
                return start + match.end()
            start += _SEARCHED
        return -1


def cut(path: Path, size: int) -> Iterator[Block]:
    """Yield the blocks of a JSON file that is not packed, of about `size` bytes, in order.

    Raises:
        UnevenError: if it has another form than the two. Later, if a cut cannot be made.
    """
    with path.open("rb") as source:
        raw = _Raw(source)
        head = raw.read(0, _BACK)
        start = len(BYTE_ORDER_MARK) * head.startswith(BYTE_ORDER_MARK)
        if not head[start:].lstrip().startswith(b"{") or rawfiles.is_indented(head[start:]):
            raise UnevenError
        if _FIRST.match(head, start) and raw.find(b"\n", start, min(4 * size, raw.size - 1)) < 0:
            yield from _column_blocks(path, raw, start, size)
        else:
            yield from _line_blocks(path, raw, start, size)


def records(block: Block) -> Iterator[tuple[str, Any]]:
    """Yield each record of a block with its "file:line" or "file:record N", as `json_records` does.

    Raises:
        UnevenError: if a column is not whole or its keys are not those of the others.
        TracekdError: if JSON lines are damaged.
    """
    with block.path.open("rb") as source:
        if not block.columns:
            source.seek(block.start)
            lines = io.BytesIO(source.read(block.end - block.start))
            yield from rawfiles.line_records(block.path, lines, block.first_line)
            return
        columns: dict[str, dict[str, Any]] = {}
        for name, start, end in block.columns:
            source.seek(start)
            columns[name] = _members(source.read(end - start), block.path)
    keys = list(next(iter(columns.values())))
    if any(list(column) != keys for column in columns.values()):
        raise UnevenError
    rows = zip(*(column.values() for column in columns.values()), strict=True)
    for key, row in zip(keys, rows, strict=True):
        yield rawfiles.column_place(block.path, key), dict(zip(columns, row, strict=True))


def _members(raw: bytes, path: Path) -> dict[str, Any]:
    try:
        members: dict[str, Any] = parsed(b"{%b}" % raw, path, 1)
    except TracekdError as error:
        raise UnevenError from error
    return members


def _line_blocks(path: Path, raw: _Raw, start: int, size: int) -> Iterator[Block]:
    line = 1
    while start < raw.size:
        end = raw.find(b"\n", min(start + size, raw.size), raw.size) + 1 or raw.size
        yield Block(path, start=start, end=end, first_line=line)
        line += raw.read(start, end).count(b"\n")
        start = end


def _column_blocks(path: Path, raw: _Raw, start: int, size: int) -> Iterator[Block]:
    columns = _columns(raw, start)
    smallest = min(columns, key=lambda column: column.end - column.start)
    keys = list(_members(raw.read(smallest.start, smallest.end), path))
    every = max(1, len(keys) * size // raw.size)
    begins = [column.start for column in columns]
    for number in range(every, len(keys), every):
        key = json.dumps(keys[number]).encode()
        share = _SKIPPED * every / (len(keys) - number + every)
        cuts = [
            _cut_before(key, raw, begin, column.end, share)
            for column, begin in zip(columns, begins, strict=True)
        ]
        yield _block(path, columns, begins, [comma for comma, _ in cuts])
        begins = [following for _, following in cuts]
    yield _block(path, columns, begins, [column.end for column in columns])


def _block(path: Path, columns: list[_Column], begins: list[int], ends: list[int]) -> Block:
    names = [column.name for column in columns]
    return Block(path, tuple(zip(names, begins, ends, strict=True)))


def _cut_before(key: bytes, raw: _Raw, start: int, end: int, skipped: float = 0) -> tuple[int, int]:
    """Return the places of the comma before a key and of the key.

    The key is looked for behind the share `skipped` of the bytes first.
    """
    place = raw.find(key, start + int(skipped * (end - start)), end)
    while place >= 0:
        back = max(start, place - _BACK)
        comma = _COMMA.search(raw.read(back, place))
        if comma and _COLON.match(raw.read(place + len(key), place + len(key) + _BACK)):
            return back + comma.start(), place
        place = raw.find(key, place + len(key), end)
    if skipped:
        return _cut_before(key, raw, start, end)
    raise UnevenError


def _columns(raw: _Raw, start: int) -> list[_Column]:
    """Find the columns by their first key, which is the same in all."""
    first = _FIRST.match(raw.read(0, _BACK), start)
    if first is None:
        raise UnevenError
    key, place = first[1], first.start(1)
    # A brace is rare where quotes are not, so this is found in half the time that the key is.
    opening = re.compile(rb"\{\s*" + re.escape(key))
    opened: list[tuple[str, int, int]] = []  # name, and the places of its quote and of the key
    while place >= 0:
        back = max(start, place - _BACK)
        named = _OPENS.search(raw.read(back, place))
        if named and _COLON.match(raw.read(place + len(key), place + len(key) + _BACK)):
            opened.append((named[1].decode(), back + named.start(1) - 1, place))
        place = raw.behind(opening, place + len(key), raw.size) - len(key)
    ends = [*(quote for _, quote, _ in opened[1:]), raw.size]
    columns = []
    for (name, _, begin), end in zip(opened, ends, strict=True):
        back = max(begin, end - _BACK)
        closed = (_CLOSES_LAST if end == raw.size else _CLOSES).search(raw.read(back, end))
        if closed is None:
            raise UnevenError
        columns.append(_Column(name, begin, back + closed.start()))
    if len({column.name for column in columns}) < max(2, len(columns)):
        raise UnevenError
    return columns
