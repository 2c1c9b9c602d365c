"""The thin shell around every stage command: errors for the reader, exit codes for DVC."""

import errno
import sys
from collections.abc import Callable
from typing import Any

import typer

from tracekd.errors import TracekdError


def run(command: Callable[..., Any]) -> None:
    """Run a Typer command; a fault the user can mend ends in one sentence and exit code 1.

    Anything else is a fault of ours and keeps its traceback.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    try:
        app()
    except TracekdError as error:
        _fail(str(error))
    except OSError as error:
        if error.errno not in _MENDABLE:
            raise
        _fail(f"{error.filename or 'file system'}: {error.strerror}; {_MENDABLE[error.errno]}")


_MENDABLE = {
    errno.ENOSPC: "free some space and run again; earlier outputs are as they were",
    errno.EDQUOT: "raise the quota or free some space and run again",
    errno.EROFS: "the folder is read-only; choose another or remount it",
    errno.EACCES: "give yourself permission or choose another folder",
}


def _fail(message: str) -> None:
    print(f"error: {message}", file=sys.stderr)
    sys.exit(1)
