"""Import first. Puts this checkout's `src` ahead of an installed one, and runs stage commands.

Queue and `--temp` runs happen in another checkout; an editable install would import the live one.
"""

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
# Set before torch is imported: threads that wait sleep soon and leave the cores to others.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def _check_checkout(root: Path) -> None:
    """Say what DVC cannot do in this checkout, though it reports success or hangs.

    A run beside a shallow clone ends at once: DVC would lose its results.
    """
    if any((folder / ".git/shallow").exists() for folder in (root, *root.parents)):
        lost = (
            "a shallow clone: `dvc exp run --queue` and `--temp` lose their results in it, with "
            "exit code 0; run `git fetch --unshallow` first"
        )
        if root != Path.cwd():
            sys.exit(f"error: {lost}")
        print(f"warning: {lost}", file=sys.stderr)
    if "#" in str(root) or not str(root).isascii():
        print(
            f"warning: {root}: `dvc exp run --temp` fails and `--run-all` hangs in a folder with # "
            "or letters beyond ASCII in its path; move the checkout, or use `dvc exp run` alone",
            file=sys.stderr,
        )


def run(*commands: Callable[..., Any], about: str | None = None) -> None:
    """Run a Typer command, or the one of several that is named first on the command line.

    An error that the user can fix ends in one line and exit code 1. Any other exception is a bug
    and keeps its traceback.
    """
    from tracekd.errors import TracekdError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a terminal without a sign prints another
            stream.reconfigure(errors="replace")
    if root := os.environ.get("DVC_ROOT"):  # DVC runs the stage
        _check_checkout(Path(root))
    app = typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="markdown",
        help=about,
    )
    for command in commands:
        app.command()(command)
    try:
        app()
    except TracekdError as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # a full or read-only disk, missing permissions
        if error.filename is None:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")
