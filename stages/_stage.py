"""Import first. Puts this checkout's `src` ahead of an installed one, and runs stage commands.

Queue and `--temp` runs happen in another checkout; an editable install would import the live one.
"""

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
# Set before torch is imported: threads that wait sleep soon and leave the cores to others.
os.environ.setdefault("GOMP_SPINCOUNT", "20000")


def run(command: Callable[..., Any]) -> None:
    """Run a Typer command; an error that the user can fix ends in one line and exit code 1.

    Any other exception is a bug and keeps its traceback.
    """
    from tracekd.errors import TracekdError

    app = typer.Typer(
        add_completion=False, pretty_exceptions_enable=False, rich_markup_mode="markdown"
    )
    app.command()(command)
    try:
        app()
    except TracekdError as error:
        sys.exit(f"error: {error}")
    except OSError as error:  # a full or read-only disk, missing permissions
        if error.filename is None:
            raise
        sys.exit(f"error: {error.filename}: {error.strerror}")
