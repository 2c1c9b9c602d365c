"""infer: test questions -> the student's answers."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    models: Annotated[Path, typer.Option(help="Model entries.")] = Path("models.yaml"),
    datasets: Annotated[Path, typer.Option(help="Data set entries.")] = Path("datasets.yaml"),
    decomposed: Annotated[Path, typer.Option(help="Folder to read.")] = Path("data/decomposed"),
    train: Annotated[Path, typer.Option(help="Table to read.")] = Path("data/sft/train.parquet"),
    test: Annotated[Path, typer.Option(help="Table to read.")] = Path("data/sft/test.parquet"),
    adapter: Annotated[Path, typer.Option(help="Adapter to read.")] = Path("models/student"),
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("data/predictions.parquet"),
    probes: Annotated[Path, typer.Option(help="Table to write.")] = Path("data/probes.parquet"),
    card: Annotated[Path, typer.Option(help="Run card to write.")] = Path("metrics/run_infer.json"),
) -> None:
    """Let the fine-tuned student answer the test questions, greedily; and behind given traces.

    Reads data/sft (of train.parquet completions to guess from), data/decomposed, models/student.
    Writes data/predictions.parquet, data/probes.parquet (no rows unless probes.enabled) and
    metrics/run_infer.json (time, memory, machine).
    Params: model, infer, probes, seed, data_seed, dataset.
    """
    import polars as pl

    from tracekd import config, records, tables
    from tracekd.generation import run as inference
    from tracekd.models import runcard
    from tracekd.probes import asking

    clock = runcard.RunCard()
    settings = config.load_params(params)
    rows = tables.read(test, records.SFT).to_dicts()
    spec = config.load_model(models, name := settings.model)
    taught = tables.read(train, records.SFT).head(inference.TAUGHT)["completion"].to_list()
    sentence = config.load_dataset(datasets, settings.dataset).class_sentence
    with inference.answer_rows(name, spec, settings.infer, rows, adapter, taught) as answers:
        said = answers.predictions
        tables.write(pl.DataFrame(said, schema=records.PREDICTIONS), out, records.PREDICTIONS)
        asked, facts = asking.probe_rows(
            settings, spec, sentence, decomposed, rows, said, adapter, answers.progress
        )
        tables.write(asked, probes, records.PROBES)
        clock.add(answers.facts | facts)
        clock.write(card)
    reasons = answers.facts["finish_reasons"].items()
    endings = ", ".join(f"{reason} {count}" for reason, count in reasons)
    print(f"{name}: {len(said)} answers in {out} (ended by {endings})")
    if settings.probes.enabled:
        print(f"{len(asked)} probes of {asked['id'].n_unique()} questions in {probes}")


if __name__ == "__main__":
    run(main)
