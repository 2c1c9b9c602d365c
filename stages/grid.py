"""grid: grid.yaml -> many experiments, on this machine or a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run

Grid = Annotated[Path, typer.Option("--grid", help="The description of the grid.")]
Folder = Annotated[Path | None, typer.Argument(help=".grid/DIGEST; default: submitted last.")]
FILE = Path("grid.yaml")


def plan(grid: Grid = FILE) -> None:
    """Print cells, which are there, and hours; writes nothing."""
    from tracekd.grid import planning

    print(planning.describe(grid))


def submit(grid: Grid = FILE) -> None:
    """Start the cells that are not there; writes .grid/DIGEST."""
    from tracekd.grid import submission

    print(submission.submit(grid))


def work(folder: Path, index: int) -> None:
    """Run one task of .grid/DIGEST, as launchers do."""
    from tracekd.grid import work as module

    raise typer.Exit(module.work(folder, index))


def status(folder: Folder = None) -> None:
    """Print which tasks wait, run, are done or have failed."""
    from tracekd.grid import results

    print(results.describe(folder))


def collect(folder: Folder = None) -> None:
    """Fetch the experiments that are done, and verify their data."""
    from tracekd.grid import results

    print(results.collect(folder))


def retry(folder: Folder = None) -> None:
    """Start what failed, stopped or was cancelled."""
    from tracekd.grid import results

    print(results.retry(folder))


def cancel(folder: Folder = None) -> None:
    """End what waits or runs; the latter keeps a checkpoint."""
    from tracekd.grid import results

    print(results.cancel(folder))


if __name__ == "__main__":
    about = "Run many experiments. Reads grid.yaml; writes .grid/ and DVC experiments."
    run(plan, submit, work, status, collect, retry, cancel, about=about)
