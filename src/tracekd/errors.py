"""The one exception type whose message is written for the person at the keyboard.

And the operating system's own errors, which not every library passes on as such.
"""

import os
import re
from collections.abc import Iterable
from difflib import get_close_matches


class TracekdError(Exception):
    """Something the user can mend. The message says where, what was found and what to do."""


#: How Rust's standard library, and so polars, safetensors and tokenizers, ends the system's words.
_NUMBER = re.compile(r"\(os error (\d+)\)")


def system_error(error: BaseException) -> OSError | None:
    """Return the operating system's error that `error` is, or that its text tells; else None.

    >>> system_error(ValueError("parquet: No space left on device (os error 28)")).errno
    28
    """
    if isinstance(error, OSError) and error.errno is not None:
        return error
    if (told := _NUMBER.search(str(error))) is None:
        return None
    number = int(told[1])
    return OSError(number, os.strerror(number))


def nearest(found: str, known: Iterable[str]) -> str:
    """Return the tail of an "unknown name" message: the nearest names, or all of them.

    >>> nearest("qwen", ["qwen3", "llama"])
    'did you mean qwen3? Known: llama, qwen3'
    """
    names = sorted(known)
    close = get_close_matches(found, names, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(close)}? " if close else ""
    return f"{hint}Known: {', '.join(names)}"
