"""prepare: raw data or a simulator -> questions in three splits."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    pin: Annotated[
        str, typer.Option(metavar="NAME", help="Only write NAME's content hash to datasets.yaml.")
    ] = "",
    path: Annotated[
        str,
        typer.Option(help="With --pin: the folder or file of raw data; written there as well."),
    ] = "",
) -> None:
    """Cut the chosen dataset into train, validation and test.

    Reads its raw files: a pinned folder, pinned downloads or a hub revision; a simulator needs
    none.

    Writes data/prepared/{train,validation,test}.parquet, and manifest.json, which accounts for
    every raw record. Params: dataset, data_seed, prepare.
    """
    from tracekd import config, errors, files, records
    from tracekd.datasets import preparation, sources

    datasets, out = Path("datasets.yaml"), Path("data/prepared")
    if path and not pin:
        raise errors.TracekdError("--path needs --pin NAME; see --help")
    if pin:
        print(f"{pin}: sha256 {sources.pin(pin, datasets, path or None)} written to {datasets}")
        return
    params = config.load_params(Path("params.yaml"))
    spec = config.load_dataset(datasets, params.dataset)
    made = preparation.prepare(spec, params.prepare, params.data_seed)
    with files.atomic_directory(out) as folder:
        for name, table in made.tables.items():
            records.write(table, folder / f"{name}.parquet", records.QUESTIONS)
        files.write_json(folder / "manifest.json", made.manifest)
    for line in preparation.messages(made):
        print(f"{spec.name}: {line}", file=sys.stderr)
    sizes = ", ".join(f"{name} {len(table)}" for name, table in made.tables.items())
    print(f"{spec.name}: {sizes} questions in {out}")


if __name__ == "__main__":
    run(main)
