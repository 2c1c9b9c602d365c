"""analyze: what the student said -> scores, metrics and plots."""

from pathlib import Path
from typing import Annotated

import typer

import _checkout  # noqa: F401
from tracekd.cli import run


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    datasets: Annotated[Path, typer.Option(help="Data set entries.")] = Path("datasets.yaml"),
    questions: Annotated[Path, typer.Option(help="Questions with gold steps.")] = Path(
        "data/decomposed/test.parquet"
    ),
    predictions: Annotated[Path, typer.Option(help="Answers.")] = Path("data/predictions.parquet"),
    train_log: Annotated[Path, typer.Option(help="Training log; may be absent.")] = Path(
        "plots/train"
    ),
    scores: Annotated[Path, typer.Option(help="Table to write.")] = Path("data/scores.parquet"),
    metrics: Annotated[Path, typer.Option(help="Folder to write.")] = Path("metrics"),
    plots: Annotated[Path, typer.Option(help="Folder to write.")] = Path("plots"),
) -> None:
    """Score each step and each answer against its own question, and how they hang together.

    Reads test questions and predictions; writes data/scores.parquet, metrics/metrics.json,
    notes.json (why a number is null), run.json (time, memory, machine of all stages) and
    plots/{confusion,accuracy_by_class,steps}.csv, overview.png. Params: model, dataset, trace_mode.
    """
    from tracekd import config, figures, files, records, runcard
    from tracekd.scoring import metrics as measures
    from tracekd.scoring import table
    from tracekd.summary import summary
    from tracekd.traces.regimes import regime

    settings = config.load_params(params)
    spec = config.load_dataset(datasets, settings.dataset)
    scored = table.score(
        records.read(questions, records.DECOMPOSED),
        records.read(predictions, records.PREDICTIONS),
        spec,
        regime(settings.trace_mode).steps,
    )
    measured, notes = measures.report(scored, spec.answer_metric)
    title = f"{settings.model} on {settings.dataset}, trace mode {settings.trace_mode}"
    records.write(scored, scores, records.SCORES, extra=True)
    files.write_json(metrics / "metrics.json", measured)
    files.write_json(metrics / "notes.json", notes)
    runcard.join(metrics)
    figures.write_all(plots, scored, measured, title, train_log)
    places = {"metrics": str(metrics / "metrics.json"), "plots": str(plots / "overview.png")}
    print(summary(measured, title, places))


if __name__ == "__main__":
    run(main)
