"""build-sft: questions with gold steps -> the examples that a student is fine-tuned on."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run

SFT = Path("data/sft")


def main(
    show: Annotated[
        int, typer.Option(min=0, help="Print N examples, supervised tokens marked; write nothing.")
    ] = 0,
) -> None:
    """Put a trace of the chosen regime before each answer, which is always right.

    Reads data/decomposed and data/teacher. Writes data/sft: a table per split with what is shown,
    shots.parquet (the examples before every question) and manifest.json, which counts by class the
    right steps and the traces that state the answer. Params: dataset, trace_mode, corruption,
    wrong_facts, seed, sample_seed, sample_size, teacher, prompt.
    """
    from tracekd import config, files, records
    from tracekd.datasets import splits
    from tracekd.traces import examples, taught

    settings = config.load_params(Path("params.yaml"))
    if show:
        from tracekd.models.loading import load_encoder
        from tracekd.report.examples import show_examples

        train, shots = (records.read(SFT / f"{n}.parquet", records.SFT) for n in ("train", "shots"))
        model = config.load_model(Path("models.yaml"), settings.model)
        print(show_examples(train.head(show).to_dicts(), load_encoder(model, shots.to_dicts())))
        return
    spec = config.load_dataset(Path("datasets.yaml"), settings.dataset)
    tables = records.read_splits()
    traces = records.read(Path("data/teacher/traces.parquet"), taught.TEACHER)
    kept = taught.taught_of(traces, spec, settings.seed)
    tables = taught.with_traces(tables, kept, settings.trace_mode, settings.teacher)
    sample, tables["shots"] = splits.draw(tables["train"], settings)
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
