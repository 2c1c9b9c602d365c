"""The thin shell around every stage command: errors for the reader, exit codes for DVC."""

import errno
import re
import sys
from collections.abc import Callable
from typing import Any, TypeGuard

import typer

from tracekd.errors import TracekdError, system_error


def run(command: Callable[..., Any]) -> None:
    """Run a Typer command; a fault the user can mend ends in one sentence and exit code 1.

    Anything else is a fault of ours and keeps its traceback.
    """
    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
    )
    app.command()(command)
    try:
        app()
    except TracekdError as error:
        _fail(str(error))
    except Exception as error:
        if _WRITE_FAILED.search(str(error)):
            _fail(f"{' '.join(str(error).split())[:300]}; {_UNEXPLAINED}")
        system = system_error(error)
        if system is None or system.errno not in _MENDABLE:
            raise
        # A library's own words say more than the system's: some of them name the file.
        told = f"{error.filename}: {error.strerror}" if _named(error) else str(error)
        _fail(f"{told}; {_MENDABLE[system.errno]}")


_MENDABLE = {
    errno.ENOSPC: "free some space and run again; earlier outputs are as they were",
    errno.EDQUOT: "raise the quota or free some space and run again",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) or use another file system",
    errno.EROFS: "the folder is read-only; choose another or remount it",
    errno.EACCES: "give yourself permission or choose another folder",
}
#: PyTorch and SQLite (in which DVC keeps its state) give no reason.
_WRITE_FAILED = re.compile(
    r"PytorchStreamWriter failed|inline_container.*unexpected pos|disk I/O error|disk is full"
)
_UNEXPLAINED = (
    "a file could not be written, most likely for want of space or for a limit on the size of "
    "files (ulimit -f); make room and run again, earlier outputs are as they were"
)


def _named(error: Exception) -> TypeGuard[OSError]:
    return isinstance(error, OSError) and error.filename is not None


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
