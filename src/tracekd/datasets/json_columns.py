r"""One JSON object of columns, `{"query": {"0": …, "1": …}, "answers": {"0": …, …}}`, by records.

This is how MS MARCO v2.1 is published: gigabytes on one line. Each column is read at its own
position of the file, all in step, so that one record is in memory at a time. A column is found by
its first key, which all columns share: inside a JSON string quotes are escaped, so that `"0":` is
never a part of one.
"""

import codecs
import json
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import zip_longest
from pathlib import Path
from typing import Any, BinaryIO

from tracekd.errors import TracekdError

#: The start of the file: the name of the first column, and its first key, a number.
OPENING = re.compile(rb'(?:\xef\xbb\xbf)?\s*\{\s*"([^"\\]*)"\s*:\s*\{\s*("\d+")\s*:')
_KEY, _AFTER_VALUE = re.compile(r'\s*"((?:[^"\\]|\\.)*)"\s*:\s*'), re.compile(r"\s*([,}])")
#: Bytes or characters that are read at a time; bytes that hold a column's name; the longest value.
_PIECE, _NAME, _LONGEST = 1 << 20, 200, 1 << 26


def records(
    path: Path, open_file: Callable[[Path], BinaryIO], decoder: json.JSONDecoder
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each record, with "record KEY" as its place.

    Raises:
        TracekdError: if the columns do not have the same keys in the same order.
    """
    with ExitStack() as stack:
        starts = _starts(stack.enter_context(open_file(path)), path)
        following = [*(rf'\s*,\s*"{re.escape(name)}"' for name in list(starts)[1:]), r"\s*\}\s*\Z"]
        columns = []
        for start, after in zip(starts.values(), following, strict=True):
            source = stack.enter_context(open_file(path))
            source.seek(start)
            columns.append(_members(source, after, path, decoder))
        for number, members in enumerate(zip_longest(*columns, fillvalue=("no key", None))):
            keys = {key for key, _ in members}
            if len(keys) > 1:
                raise _fault(path, f"at record {number + 1}: {', '.join(sorted(map(shown, keys)))}")
            record = {name: value for name, (_, value) in zip(starts, members, strict=True)}
            yield f"record {shown(members[0][0])}", record


def _starts(source: BinaryIO, path: Path) -> dict[str, int]:
    """Return the position of the first key of each column, by the column's name."""
    text, position = source.read(_PIECE), 0
    opening = OPENING.match(text)
    if opening is None:
        raise _fault(path, "it does not begin with a column")
    starts = {opening[1].decode(errors="replace"): opening.start(2)}
    # Searching for a brace is fast: braces are rarer than quotes.
    border = re.compile(rb'\}\s*,\s*"([^"\\]*)"\s*:\s*\{\s*(?=' + re.escape(opening[2]) + rb"\s*:)")
    while True:
        for match in border.finditer(text):
            name, start = match[1].decode(errors="replace"), position + match.end()
            if starts.setdefault(name, start) != start:
                raise _fault(path, f"two columns {shown(name)}")
        if not (piece := source.read(_PIECE)):
            return starts
        # What might have been cut off is searched again.
        cut = max(0, len(text) - 2 * _NAME)
        text, position = text[cut:] + piece, position + cut


def _members(
    source: BinaryIO, following: str, path: Path, decoder: json.JSONDecoder
) -> Iterator[tuple[str, Any]]:
    """Yield the key, as written, and the value of each member from the source's position on.

    `following` is a pattern of what must come after the last one.
    """
    reader = codecs.getreader("utf-8")(source)
    text, start, cause = "", 0, "no key"
    while True:
        after = None
        if key := _KEY.match(text, start):
            try:
                value, end = decoder.raw_decode(text, key.end())
                after = _AFTER_VALUE.match(text, end)
            except ValueError as error:
                cause = str(error)
        if key and after:
            yield key[1], value
            if after[1] == "}":
                rest = text[after.end() :] + reader.read(_NAME)
                if not re.match(following, rest):
                    raise _fault(path, f"after a column: {rest[:40]!a}")
                return
            start = after.end()
            continue
        # Cut off, unless the file ends here.
        piece = reader.read(_PIECE) if len(text) - start < _LONGEST else ""
        if not piece:
            raise _fault(path, f"not JSON: {cause}, at {text[start : start + 40]!a}")
        text, start = text[start:] + piece, 0


def shown(key: str) -> str:
    """Return a key or a name as a message shows it: short and on one line."""
    return ascii(key)[1:-1][:60] or '""'


def _fault(path: Path, what: str) -> TracekdError:
    return TracekdError(
        f"{path}: not an object of columns that have the same keys in the same order ({what}); "
        "fetch the file again, or convert it to one record per line"
    )
