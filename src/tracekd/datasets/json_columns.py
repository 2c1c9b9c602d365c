r"""One JSON object of columns, `{"query": {"0": …, "1": …}, "answers": {"0": …, …}}`, by records.

This is how MS MARCO v2.1 is published: gigabytes on one line. Each column is read at its own
position of the file, all in step, so that few records are in memory at a time. A column is found by
its first key, and a block of its values ends where the next block's first key begins: inside a JSON
string quotes are escaped, so that `"20":` is never a part of one.
"""

import json
import re
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from tracekd.errors import TracekdError

#: The start of the file: the name of the first column, and its first key.
OPENING = re.compile(rb'\s*\{\s*"([^"\\]*)"\s*:\s*\{\s*("[^"\\]*")\s*:')
_END = re.compile(rb"\}\s*\}\s*$")
#: Bytes that are read at a time; bytes that hold a column's name; the longest block.
_PIECE, _NAME, _LONGEST = 1 << 22, 200, 1 << 26
#: Records that are parsed together; their text fits the processor's cache.
_BLOCK = 50

_Column = tuple[str, int, int]


def records(
    path: Path,
    open_file: Callable[[Path], BinaryIO],
    parse: Callable[[bytes, Path, str], Any],
    chosen: Collection[int] | None,
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each record, or those with the numbers `chosen`, with "record KEY" as its place.

    `parse` takes a JSON text, the file and the text's place, and returns its content.

    Raises:
        TracekdError: if the columns do not have the same keys in the same order.
    """
    with open_file(path) as source:
        columns = _columns(source, path)
        name, start, end = min(columns, key=lambda column: column[2] - column[1])
        source.seek(start)
        keys = list(parse(b"{%b}" % source.read(end - start), path, f"column {shown(name)}"))
    blocks = [keys[first : first + _BLOCK] for first in range(0, len(keys), _BLOCK)]
    with ExitStack() as stack:
        opened = [(stack.enter_context(open_file(path)), column) for column in columns]
        texts = [_texts(source, path, column, blocks) for source, column in opened]
        for number, (block, *parts) in enumerate(zip(blocks, *texts, strict=True)):
            numbers = range(number * _BLOCK, number * _BLOCK + len(block))
            wanted = [n for n in numbers if chosen is None or n in chosen]
            if not wanted:
                continue
            place = f"record {shown(block[0])}"
            values = {
                name: parse(b"{%b}" % text, path, place)
                for (name, _, _), text in zip(columns, parts, strict=True)
            }
            for name, column in values.items():
                if list(column) != block:
                    raise _fault(path, f"column {shown(name)}: other keys after {shown(block[0])}")
            for n in wanted:
                key = block[n - numbers.start]
                record = {name: column[key] for name, column in values.items()}
                yield f"record {shown(key)}", record


def shown(key: str) -> str:
    """Return a key as a message shows it: short and on one line."""
    return ascii(key)[1:-1][:60] or '""'


def _columns(source: BinaryIO, path: Path) -> list[_Column]:
    """Return the name of each column, and where its members start and end."""
    source.seek(0)
    text, position = source.read(_PIECE), 0
    opening = OPENING.search(text)
    if opening is None:
        raise _fault(path, "it does not begin with a column")
    starts = {opening[1].decode(errors="replace"): opening.start(2)}
    ends: list[int] = []
    # Searching for a brace is fast: braces are rarer than quotes.
    border = re.compile(rb'\}\s*,\s*"([^"\\]*)"\s*:\s*\{\s*(?=' + re.escape(opening[2]) + rb"\s*:)")
    while True:
        for match in border.finditer(text):
            if (name := match[1].decode(errors="replace")) not in starts:
                ends.append(position + match.start())
                starts[name] = position + match.end()
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


def _texts(
    source: BinaryIO, path: Path, column: _Column, blocks: list[list[str]]
) -> Iterator[bytes]:
    """Yield the JSON text of each block's members of a column."""
    name, start, end = column
    source.seek(start)
    number, text, left = 0, b"", end - start
    while left and len(text) < _LONGEST:
        text += source.read(min(_PIECE, left))
        left = end - source.tell()
        place = 0
        while number + 1 < len(blocks):
            found = _next(json.dumps(blocks[number + 1][0]).encode(), text, place)
            if found is None:
                break
            yield text[place : found[0]]
            place, number = found[1], number + 1
        text = text[place:]
    if number + 1 < len(blocks):
        raise _fault(path, f"column {shown(name)}: no key {shown(blocks[number + 1][0])}")
    yield text


def _next(key: bytes, text: bytes, start: int) -> tuple[int, int] | None:
    """Return the places of the comma before a key and of the key."""
    while (place := text.find(key, start)) >= 0:
        before = text[max(0, place - _NAME) : place].rstrip()
        after = text[place + len(key) : place + len(key) + _NAME].lstrip()
        if before.endswith(b",") and after.startswith(b":"):
            return text.rindex(b",", 0, place), place
        start = place + len(key)
    return None


def _fault(path: Path, what: str) -> TracekdError:
    return TracekdError(
        f"{path}: not an object of columns that have the same keys in the same order ({what}); "
        "fetch the file again, or convert it to one record per line"
    )
