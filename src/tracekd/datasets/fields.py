"""Checks of single fields of a raw record; a fault rejects the record and names the field."""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

#: Control and format characters (zero-width ones among them), and spaces.
_INVISIBLE = frozenset({"Cc", "Cf", "Zs", "Zl", "Zp"})


class RejectedError(ValueError):
    """The record does not make a question; the message is the reason, without its values."""


def require(record: Any, names: Iterable[str]) -> Mapping[str, Any]:
    """Return `record` if it is a mapping in which none of `names` is absent or null."""
    if not isinstance(record, dict):
        raise RejectedError("the record is not an object")
    missing = [name for name in names if record.get(name) is None]
    if missing:
        noun = "field" if len(missing) == 1 else "fields"
        raise RejectedError(f"missing {noun}: {', '.join(missing)}")
    return record


def text(value: Any, field: str) -> str:
    """Return a string that is not blank, without outer white space."""
    if not isinstance(value, str):
        raise RejectedError(f"{field} is not a string")
    if is_blank(value):
        raise RejectedError(f"{field} is blank")
    return encodable(value.strip(), field)


def texts(value: Any, field: str) -> list[str]:
    """Return a flat list of strings, as it is."""
    if not isinstance(value, list):
        raise RejectedError(f"{field} is not a list")
    for item in value:
        if not isinstance(item, str):
            raise RejectedError(f"{field} contains something that is not a string")
        encodable(item, field)
    return value


def context(value: Any, field: str) -> list[str]:
    """Return a list of facts: at least one, none blank."""
    facts = texts(value, field)
    if not facts:
        raise RejectedError(f"{field} is empty: a context without facts")
    if any(map(is_blank, facts)):
        raise RejectedError(f"{field} contains a blank text")
    return facts


def whole_number(value: Any, field: str) -> int:
    """Return an integer, which a boolean is not."""
    if type(value) is not int:
        raise RejectedError(f"{field} is not a whole number")
    return value


def without_duplicates(answers: list[str], notes: Counter[str]) -> list[str]:
    """Return each answer once, in order; count in `notes` if that repaired the record."""
    unique = list(dict.fromkeys(answers))
    if len(unique) < len(answers):
        notes["a duplicate answer in a record was removed"] += 1
    return unique


def is_blank(value: str) -> bool:
    r"""Return whether `value` has no visible character.

    >>> is_blank(" \u200b"), is_blank("\u202ea")
    (True, False)
    """
    return all(map(_INVISIBLE.__contains__, map(unicodedata.category, value)))


def encodable(value: str, field: str) -> str:
    r"""Return `value` if it is valid Unicode: a JSON escape such as "\\ud800" need not be."""
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise RejectedError(f"{field} contains half a surrogate pair") from None
    return value
