"""grid: grid.yaml -> many experiments, on this machine or a cluster."""

from pathlib import Path
from types import ModuleType
from typing import Annotated

import typer

from _stage import run

Grid = Annotated[Path, typer.Option("--grid", help="The description of the grid.")]
Folder = Annotated[Path | None, typer.Argument(help=".grid/DIGEST; default: submitted last.")]


def plan(grid: Grid = Path("grid.yaml")) -> None:
    """Print cells, which are there, and hours; writes nothing."""
    print(_grid().planning.describe(grid))


def submit(grid: Grid = Path("grid.yaml")) -> None:
    """Start the cells that are not there; writes .grid/DIGEST."""
    print(_grid().submission.submit(grid))


def work(folder: Path, index: int) -> None:
    """Run one task of .grid/DIGEST, as launchers do."""
    _grid().work.work(folder, index)


def status(folder: Folder = None) -> None:
    """Print which tasks wait, run, are done or have failed."""
    print(_grid().results.describe(folder))


def collect(folder: Folder = None) -> None:
    """Fetch the experiments that are done, and verify their data."""
    print(_grid().results.collect(folder))


def retry(folder: Folder = None) -> None:
    """Start what failed, stopped or was cancelled."""
    print(_grid().results.retry(folder))


def cancel(folder: Folder = None) -> None:
    """End what waits or runs; the latter keeps a checkpoint."""
    print(_grid().results.cancel(folder))


def _grid() -> ModuleType:
    import tracekd.grid.results  # only now: --help answers at once
    import tracekd.grid.submission  # imports planning
    import tracekd.grid.work

    return tracekd.grid


if __name__ == "__main__":
    about = "Run many experiments. Reads grid.yaml; writes .grid/ and DVC experiments."
    run(plan, submit, work, status, collect, retry, cancel, about=about)
