"""Real-shaped inputs made wrong in every way that files go wrong, each by its number.

Case `n` of a file is a function of `n` alone, so that a failure is repeated by its number.
"""

import json
import random
from collections.abc import Callable
from typing import Any

#: Texts that have broken readers: controls, zero-width and right-to-left characters, other planes,
#: line ends of every kind, byte order marks, quoting, numbers without end, deep nesting.
TEXTS = (
    "", " ", "\t", "\x00", "\x1c", "\x85", "\u2028", "\u200b", "\u202e", "\ufeff", "\u0301",
    "\U0001f600", "\U000e0001", "\U0010ffff", "\u0130", "\u212a", "\u0663", "\u00b2",
    "\u05d0\u05d1",
    "\r", "\r\n", "\n", "\n\n", "\\", "\\n", '"', "'", ",", ":", "{", "}", "[", "]", "{}", "[]",
    "NaN", "-Infinity", "1e999", "true", "null", "-1", "0", "1", "007", "2147483648", "9" * 30,
    "9" * 5000, "[" * 2000, '{"a":' * 2000, '"\\ud800"', '"\\udc00\\ud800"', "</think>", "<answer>",
    "<|im_end|>", "x" * 3000, "\t\t", "1 ", "- ", "{class}", "!!python/object:os.system", "&a [*a]",
    "2001-99-99", "0x_", "<<: *a", "---\n", "%",
)  # fmt: skip
#: The same for bytes: what is no UTF-8, and the marks of other encodings and of gzip.
BYTES = (b"\xff", b"\xc3", b"\xed\xa0\x80", b"\xf8\x88", b"\xff\xfe", b"\xef\xbb\xbf", b"\x1f\x8b")
#: What may stand in the place of any value of a JSON record.
VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2**31, 10**30, 1.0, 1.5, float("nan"), float("inf"), "", " ", "a",
    "\u200b", "\ud800", "\U0001f600", "a\r\nb", "[]", "1", [], [[]], ["a"], ["a", "a"], [None], [1],
    [["a"]], {}, {"a": "b"}, {"0": "a"}, {"0": {}}, "\u202eabc", "x" * 2000,
)  # fmt: skip


def mutated(raw: bytes, number: int) -> bytes:
    """Return `raw` with one to four faults; case 0 is `raw` itself."""
    draw = random.Random(number)  # noqa: S311
    for _ in range(draw.randint(1, 4) if number else 0):
        raw = draw.choice(FAULTS)(raw, draw)
    return raw


def _flip(raw: bytes, draw: random.Random) -> bytes:
    if not raw:
        return raw
    place = draw.randrange(len(raw))
    return raw[:place] + bytes([raw[place] ^ (1 << draw.randrange(8))]) + raw[place + 1 :]


def _delete(raw: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(raw) + 1)
    return raw[:start] + raw[start + draw.choice((1, 2, 8, 64)) :]


def _repeat(raw: bytes, draw: random.Random) -> bytes:
    start = draw.randrange(len(raw) + 1)
    piece = raw[start : start + draw.choice((1, 8, 64, 256))]
    return raw[:start] + piece + raw[start:]


def _cut(raw: bytes, draw: random.Random) -> bytes:
    return raw[: draw.randrange(len(raw) + 1)]


def _insert(raw: bytes, draw: random.Random) -> bytes:
    place = draw.choice((0, len(raw), draw.randrange(len(raw) + 1)))
    piece = draw.choice(BYTES) if draw.random() < 0.15 else draw.choice(TEXTS).encode()
    return raw[:place] + piece + raw[place:]


def _line_ends(raw: bytes, draw: random.Random) -> bytes:
    return raw.replace(b"\n", draw.choice((b"\r\n", b"\r", b"\n\n", b"\r\r\n")))


def _lines(raw: bytes, draw: random.Random) -> bytes:
    lines = raw.split(b"\n")
    one, other = draw.randrange(len(lines)), draw.randrange(len(lines))
    match draw.randrange(3):
        case 0:
            lines[one], lines[other] = lines[other], lines[one]
        case 1:
            lines.insert(other, lines[one])
        case _:
            del lines[one]
    return b"\n".join(lines)


def _value(raw: bytes, draw: random.Random) -> bytes:
    """Put another value, a further key or a repeated key into a JSON record."""
    lines = raw.split(b"\n")
    place = draw.randrange(len(lines))
    try:
        record = json.loads(lines[place])
    except (ValueError, RecursionError):
        return raw
    if isinstance(record, (dict, list)) and record:
        inner: Any = record
        while True:
            key = (
                draw.choice(list(inner)) if isinstance(inner, dict) else draw.randrange(len(inner))
            )
            if isinstance(inner[key], (dict, list)) and inner[key] and draw.random() < 0.6:
                inner = inner[key]
                continue
            break
        if isinstance(inner, dict) and draw.random() < 0.2:
            del inner[key]
        else:
            inner[key] = draw.choice(VALUES)
    made = json.dumps(record, ensure_ascii=draw.random() < 0.7 or "\\ud" in json.dumps(record))
    if isinstance(record, dict) and record and draw.random() < 0.15:
        key = draw.choice(list(record))
        made = f"{made[:-1]}, {json.dumps(key)}: {json.dumps(record[key])}}}"
    lines[place] = made.encode()
    return b"\n".join(lines)


FAULTS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _flip, _delete, _repeat, _cut, _insert, _insert, _line_ends, _lines, _value, _value, _value,
)  # fmt: skip
