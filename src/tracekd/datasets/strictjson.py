"""JSON read as the standard has it.

What Python would let pass (NaN and Infinity, a key that stands twice in an object) is an error, as
something would be lost or made up otherwise. orjson reads it; what orjson refuses, or may have
taken for something else, Python's own reader reads again and tells the fault.
"""

import json
from collections import Counter
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
import orjson

from tracekd.datasets.rawtext import AGAIN, shown, utf8
from tracekd.errors import TracekdError

_WITHOUT_KEYS = {str, int, bool, type(None)}
_QUOTE, _BACKSLASH, _COLON, _SPACES = 0x22, 0x5C, 0x3A, tuple(b" \t\r\n")


class _FaultError(ValueError):
    """JSON that Python lets pass and this module does not."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise _FaultError(f"the key {shown(twice)!r} stands twice in an object; leave one")
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
    if kind is dict:
        return len(value) + _sizes(value.values())
    if kind is list:
        return _sizes(value)
    if kind is float:
        raise _DoubtError
    return 0


def _sizes(values: Collection[Any]) -> int:
    return 0 if set(map(type, values)) <= _WITHOUT_KEYS else sum(map(_size, values))


def _keys(raw: bytes) -> int:
    """Return the number of keys in JSON text without faults, those that stand twice too."""
    raw = raw.rstrip()  # so that behind every string there is something else, or nothing at all
    text = np.frombuffer(raw, dtype=np.uint8)
    quotes = np.flatnonzero(text == _QUOTE)
    behind = quotes[(quotes > 0) & (text[quotes - 1] == _BACKSLASH)]
    if len(behind):
        escaped = [place for place in behind.tolist() if _is_escaped(raw, place)]
        quotes = np.setdiff1d(quotes, escaped, assume_unique=True)
    follows = quotes[1::2] + 1
    while (space := np.isin(text.take(follows, mode="clip"), _SPACES)).any():
        follows = follows + space
    return int((text.take(follows, mode="clip") == _COLON).sum())


def _is_escaped(raw: bytes, place: int) -> bool:
    before = place
    while before and raw[before - 1] == _BACKSLASH:
        before -= 1
    return (place - before) % 2 == 1


def _strictly_parsed(raw: bytes, path: Path, first_line: int) -> Any:
    text = utf8(raw, path, first_line)
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"{path}:{first_line + error.lineno - 1}"
        what = f"not JSON (column {error.colno}: {error.msg})"
        raise TracekdError(f"{place}: {what}: {AGAIN}") from error
    except _FaultError as error:
        raise TracekdError(f"{path}:{first_line}: {error}") from error
    except RecursionError as error:
        raise TracekdError(f"{path}:{first_line}: JSON nested too deeply: {AGAIN}") from error
    except ValueError as error:  # Python reads no number of more than 4300 digits
        raise TracekdError(
            f"{path}:{first_line}: a number with thousands of digits: {AGAIN}"
        ) from error
