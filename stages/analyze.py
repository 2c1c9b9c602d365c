"""analyze: what the student said -> scores, metrics and plots."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run
from tracekd.memory import keep_freed_memory


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    datasets: Annotated[Path, typer.Option(help="Data set entries.")] = Path("datasets.yaml"),
    questions: Annotated[Path, typer.Option(help="Questions with gold steps.")] = Path(
        "data/decomposed/test.parquet"
    ),
    predictions: Annotated[Path, typer.Option(help="Answers.")] = Path("data/predictions.parquet"),
    probed: Annotated[Path, typer.Option(help="Probed answers.")] = Path("data/probes.parquet"),
    train_log: Annotated[Path, typer.Option(help="Log, if there is one.")] = Path("plots/train"),
    scores: Annotated[Path, typer.Option(help="Table to write.")] = Path("data/scores.parquet"),
    metrics: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics"),
    plots: Annotated[Path, typer.Option(help="Folder to write.")] = Path("plots"),
) -> None:
    """Score each step and each answer against its own question, and how they hang together.

    Reads test questions, predictions and probes. Writes data/scores.parquet, plots/ and of metrics/
    {metrics,classes,notes,run}.json. Params: model, dataset, trace_mode, corruption, seed.
    """
    keep_freed_memory()  # before polars is imported
    from tracekd import config, files, pools
    from tracekd.models import runcard
    from tracekd.probes import verdicts as probes
    from tracekd.report import figures
    from tracekd.report import probes as figure
    from tracekd.report.summary import summary, title_of
    from tracekd.scoring import metrics as measures
    from tracekd.scoring import table
    from tracekd.traces.regimes import regime

    pools.meanwhile(figures.load_libraries)
    settings = config.load_params(params)
    spec = config.load_dataset(datasets, settings.dataset)
    steps = regime(settings.trace_mode).steps
    scored = table.score_file(questions, predictions, scores, spec, steps)
    measured, notes = measures.report(scored, spec.answer_metric)
    effects, more_notes = probes.report_file(probed, predictions, questions, spec)
    measured |= effects
    title = title_of(settings)
    overall, classes = measures.apart(measured)
    for name, part in {"metrics": overall, "classes": classes, "notes": notes | more_notes}.items():
        files.write_json(metrics / f"{name}.json", part)
    runcard.join(metrics)
    figures.write_all(plots, scored, measured, title, train_log)
    figure.write_all(plots, measured, title)
    places = {"metrics": str(metrics / "metrics.json"), "plots": str(plots / "overview.png")}
    print(summary(measured, title, places))


if __name__ == "__main__":
    run(main)
