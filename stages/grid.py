"""grid: grid.yaml -> many experiments, on this machine or a cluster."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run

Grid = Annotated[Path, typer.Option(help="The description of the grid.")]
Folder = Annotated[Path | None, typer.Argument(help=".grid/DIGEST; default: submitted last.")]


def plan(grid: Grid = Path("grid.yaml")) -> None:
    """Print cells, which are there, and hours; writes nothing."""
    from tracekd.grid import planning

    print(planning.describe(planning.plan(Path.cwd(), grid)))


def submit(grid: Grid = Path("grid.yaml")) -> None:
    """Start the cells that are not there; writes .grid/DIGEST."""
    from tracekd.grid import planning, submission

    print(submission.submit(planning.plan(Path.cwd(), grid)))


def work(folder: Path, index: int) -> None:
    """Run one task of .grid/DIGEST, as launchers do."""
    from tracekd.grid import work as worker

    raise typer.Exit(worker.work(folder, index))


def status(folder: Folder = None) -> None:
    """Print which tasks wait, run, are done or have failed."""
    from tracekd.grid import results

    print(results.describe(results.status(results.chosen(Path.cwd(), folder))))


def collect(folder: Folder = None) -> None:
    """Fetch the experiments that are done, and verify their data."""
    from tracekd.grid import results

    print(results.collect(results.chosen(Path.cwd(), folder)))


def retry(folder: Folder = None) -> None:
    """Start what failed, stopped or was cancelled."""
    from tracekd.grid import results

    print(results.retry(results.chosen(Path.cwd(), folder)))


def cancel(folder: Folder = None) -> None:
    """End what waits or runs; the latter keeps a checkpoint."""
    from tracekd.grid import results

    print(results.cancel(results.chosen(Path.cwd(), folder)))


if __name__ == "__main__":
    about = "Run many experiments. Reads grid.yaml; writes .grid/ and DVC experiments."
    run(plan, submit, work, status, collect, retry, cancel, about=about)
