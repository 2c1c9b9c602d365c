"""build-sft: questions with gold steps -> the examples that a student is fine-tuned on."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run

SFT = Path("data/sft")


def main(
    show: Annotated[
        int,
        typer.Option(
            min=0, help="Print N built examples with the supervised tokens marked; write nothing."
        ),
    ] = 0,
) -> None:
    """Put a trace of the chosen regime before each answer, which is always right.

    Reads data/decomposed/{train,validation,test}.parquet and data/teacher. Writes data/sft: the
    same names, with system message, prompt, completion and the steps shown, and manifest.json,
    which counts by class the steps that are right and the traces that state the answer. Params:
    dataset, trace_mode, corruption, wrong_facts, seed, sample_seed, sample_size, teacher, prompt.
    """
    from tracekd import config, files, records
    from tracekd.datasets import splits
    from tracekd.traces import examples, grammar, regimes, taught

    settings = config.load_params(Path("params.yaml"))
    if show:
        from tracekd.models.loading import load_encoder
        from tracekd.report.examples import show_examples

        encoder = load_encoder(config.load_model(Path("models.yaml"), settings.model))
        table = records.read(SFT / "train.parquet", records.SFT)
        print(show_examples(table.head(show).rows(named=True), encoder))
        return
    regimes.regime(settings.trace_mode)
    spec = config.load_dataset(Path("datasets.yaml"), settings.dataset)
    tables = {
        split: records.read(Path(f"data/decomposed/{split}.parquet"), records.DECOMPOSED)
        for split in records.SPLITS
    }
    traces = records.read(Path("data/teacher/traces.parquet"), taught.TEACHER)
    kept = taught.taught_of(traces, grammar.Grammar(spec.class_sentence), settings.seed)
    tables = taught.with_traces(tables, kept, settings.trace_mode, settings.teacher)
    sample = splits.first(tables["train"], settings.sample_size, settings.sampled_by, "sample_size")
    built = examples.build(tables | {"train": sample}, settings, spec, kept)
    manifest = examples.manifest(built, tables)
    with files.atomic_directory(SFT) as folder:
        for split, table in built.items():
            records.write(table, folder / f"{split}.parquet", records.SFT)
        files.write_json(folder / "manifest.json", manifest)
    for line in examples.messages(manifest):
        print(f"{settings.trace_mode}: {line}")


if __name__ == "__main__":
    run(main)
