"""prepare: raw data or a simulator -> questions in three splits."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    datasets: Annotated[Path, typer.Option(help="Data set entries.")] = Path("datasets.yaml"),
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("data/prepared"),
    pin: Annotated[
        str, typer.Option(metavar="NAME", help="Only write NAME's folder hash to the entries.")
    ] = "",
    path: Annotated[
        str, typer.Option(help="With --pin: the folder of raw files; written to the entry too.")
    ] = "",
) -> None:
    """Cut the chosen data set into train, validation and test.

    Reads its raw files (a pinned folder or hub revision; a simulator needs none).

    Writes data/prepared/{train,validation,test}.parquet, and manifest.json, which accounts for
    every raw record. Params: dataset, data_seed, prepare.
    """
    from tracekd import pools

    pools.tune()
    from tracekd import config, errors
    from tracekd.datasets import preparation, sources

    if path and not pin:
        raise errors.TracekdError("--path: goes with --pin NAME; see --help")
    if pin:
        print(f"{pin}: sha256 {sources.pin(pin, datasets, path or None)} written to {datasets}")
        return
    settings = config.load_params(params)
    spec = config.load_dataset(datasets, settings.dataset)
    made = preparation.prepare(settings.dataset, spec, settings.prepare, settings.data_seed)
    preparation.write(made, out)
    for line in preparation.told(made):
        print(f"{settings.dataset}: {line}", file=sys.stderr)
    sizes = ", ".join(f"{name} {len(table)}" for name, table in made.splits.items())
    print(f"{settings.dataset}: {sizes} questions in {out}")


if __name__ == "__main__":
    run(main)
