"""build-sft: questions with gold steps -> the examples that a student is fine-tuned on."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    datasets: Annotated[Path, typer.Option(help="Data set entries.")] = Path("datasets.yaml"),
    models: Annotated[Path, typer.Option(help="Model entries; for --show.")] = Path("models.yaml"),
    prepared: Annotated[Path, typer.Option(help="Folder to read.")] = Path("data/prepared"),
    decomposed: Annotated[Path, typer.Option(help="Folder to read.")] = Path("data/decomposed"),
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("data/sft"),
    show: Annotated[
        int,
        typer.Option(
            min=0, help="Print N built examples, supervised tokens marked; write nothing."
        ),
    ] = 0,
) -> None:
    """Put a trace of the chosen regime in front of each answer.

    Reads {train,validation,test}.parquet of data/prepared and data/decomposed; writes the same
    names under data/sft, with system message, prompt, completion and the steps shown, and
    manifest.json, which counts right and wrong steps. Params: trace_mode, corruption, seed, prompt,
    dataset; infer.backend is checked only.
    """
    from tracekd import pools

    pools.tune()
    from tracekd import config, files, records, tables
    from tracekd.generation import backends
    from tracekd.traces import examples as sft

    settings = config.load_params(params)
    backends.check_backend(settings.infer.backend)  # a wrong name shall not wait for training
    if show:
        from tracekd.models.loading import load_encoder
        from tracekd.report.examples import show_examples

        encoder = load_encoder(settings.model, config.load_model(models, settings.model))
        table = tables.read(out / "train.parquet", records.SFT)
        print(show_examples(table.head(show).rows(named=True), encoder))
        return
    spec = config.load_dataset(datasets, settings.dataset)
    with files.atomic_directory(out) as folder:
        manifest = sft.build_files(prepared, decomposed, folder, settings, spec)
        files.write_json(folder / "manifest.json", manifest)
    for line in sft.told(manifest):
        print(f"{settings.trace_mode}: {line}", file=sys.stderr)


if __name__ == "__main__":
    run(main)
