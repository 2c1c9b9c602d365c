"""compare: the experiments of this repository -> tables, paired comparisons, figures."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run

Names = Annotated[list[str] | None, typer.Option(help="Use only these; may be repeated.")]


def main(
    model: Names = None,
    dataset: Names = None,
    regime: Names = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Compare with these; default: none, correct.")
    ] = None,
    all_commits: Annotated[
        bool, typer.Option("--all-commits", help="Include the runs of earlier commits.")
    ] = False,
    margin: Annotated[
        float, typer.Option(min=0.01, max=100, help="Points of accuracy that make no difference.")
    ] = 5,
    plan: Annotated[
        float | None,
        typer.Option(min=0.01, max=100, help="Print what it takes to detect so many points."),
    ] = None,
    paper: Annotated[
        bool, typer.Option("--paper", help="Also compare with the published numbers and claims.")
    ] = False,
) -> None:
    """Compare the experiments of this repository question by question.

    Reads all successful DVC experiments, the run of the current commit, and that in the workspace.
    Writes metrics/compare.json, metrics/compare.md and
    plots/compare_{regimes,effects,association,probes,dose}.png, and changes nothing else.
    """
    from tracekd.comparison import experiments, figures, report
    from tracekd.comparison.effects import BASELINES
    from tracekd.comparison.results import compare
    from tracekd.comparison.store import find_store

    root = Path()
    found = experiments.collect(root, all_commits=all_commits)
    chosen = experiments.choose(found.experiments, model or (), dataset or (), regime or ())
    experiments.check_names("--baseline", baseline or (), experiments.regime_names(chosen))
    compared, undefined = compare(
        find_store(root), found, chosen, baseline or BASELINES, margin=margin / 100, paper=paper
    )
    print(report.write(Path("metrics"), compared, undefined, plan and plan / 100))
    drawn = figures.write_all(Path("plots"), compared["results"])
    print("Wrote metrics/compare.json, metrics/compare.md,", ", ".join(map(str, drawn)))


if __name__ == "__main__":
    run(main)
