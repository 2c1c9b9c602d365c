"""compare: all experiments of this repository -> tables, paired comparisons, pictures."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run

Names = Annotated[list[str] | None, typer.Option(help="Only experiments of it; may be repeated.")]


def main(
    model: Names = None,
    dataset: Names = None,
    regime: Names = None,
    baseline: Annotated[
        list[str] | None, typer.Option(help="Compare all regimes with it; may be repeated.")
    ] = None,
    paper: Annotated[
        bool, typer.Option(help="Also set them beside the published numbers.")
    ] = False,
    metrics: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics"),
    plots: Annotated[Path, typer.Option(help="Folder to write.")] = Path("plots"),
) -> None:
    """Set the experiments of this repository side by side, question by question.

    Not a stage of the pipeline: it reads every successful DVC experiment and every committed run
    from git and their scores from DVC's cache, and checks nothing out. Writes metrics/compare.json,
    metrics/compare.md and plots/compare_{regimes,effects,link}.png. Regimes are compared with
    `none` and `correct` unless --baseline says otherwise.
    """
    from tracekd.comparison import effects, experiments, figures, grid, report, results, scores
    from tracekd.comparison.unfinished import unfinished

    found = experiments.collect(Path())
    chosen = experiments.choose(found.experiments, model or (), dataset or (), regime or ())
    experiments.check_baselines(baseline or (), chosen)
    arranged = grid.arrange(chosen)
    loaded = scores.load(arranged, experiments.cache_dir(Path()))
    current = experiments.current_params(Path())
    baselines = baseline or effects.BASELINES
    waiting = unfinished(Path())
    compared, undefined = results.compare(
        found, loaded, current, baselines, paper=paper, unfinished=waiting
    )
    print(report.write(metrics, compared, undefined))
    drawn = figures.write_all(plots, compared["results"])
    print("metrics:", metrics / "compare.json", metrics / "compare.md")
    print("plots:", *drawn)


if __name__ == "__main__":
    run(main)
