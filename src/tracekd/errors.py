"""The one exception type whose message is written for the person at the keyboard."""

from collections.abc import Iterable
from difflib import get_close_matches


class TracekdError(Exception):
    """Something the user can fix. The message says where, what was found and what to do."""


def nearest(found: str, known: Iterable[str]) -> str:
    """Return the tail of an "unknown name" message: the nearest names, and all of them.

    >>> nearest("qwen", ["qwen3", "llama"])
    'did you mean qwen3? Known: llama, qwen3'
    """
    names = sorted(known)
    close = get_close_matches(found, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}Known: {', '.join(names)}"
