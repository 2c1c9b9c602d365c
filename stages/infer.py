"""infer: test questions -> the student's answers."""

from pathlib import Path
from typing import Annotated

import typer

import _checkout  # noqa: F401
from tracekd.cli import run


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    models: Annotated[Path, typer.Option(help="Model entries.")] = Path("models.yaml"),
    test: Annotated[Path, typer.Option(help="Table to read.")] = Path("data/sft/test.parquet"),
    adapter: Annotated[Path, typer.Option(help="Adapter to read.")] = Path("models/adapter"),
    out: Annotated[Path, typer.Option(help="Table to write.")] = Path("data/predictions.parquet"),
    card: Annotated[Path, typer.Option(help="Run card to write.")] = Path("metrics/run_infer.json"),
) -> None:
    """Let the fine-tuned student answer the test questions, greedily.

    Reads data/sft/test.parquet and models/adapter.

    Writes data/predictions.parquet and metrics/run_infer.json (time, memory, machine).
    Params: model, infer.
    """
    import polars as pl

    from tracekd import config, inference, records, runcard

    clock = runcard.RunCard()
    settings = config.load_params(params)
    rows = records.read(test, records.SFT).to_dicts()
    name = settings.model
    spec = config.load_model(models, name)
    predictions, facts = inference.answer_rows(name, spec, settings.infer, rows, adapter)
    records.write(pl.DataFrame(predictions, schema=records.PREDICTIONS), out, records.PREDICTIONS)
    clock.add(facts)
    clock.write(card)
    endings = ", ".join(f"{reason} {count}" for reason, count in facts["finish_reasons"].items())
    print(f"{name}: {len(predictions)} answers in {out} (ended by {endings})")


if __name__ == "__main__":
    run(main)
