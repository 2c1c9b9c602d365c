"""decompose: questions -> questions with the gold steps of their correct trace."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    datasets: Annotated[Path, typer.Option(help="Data set entries.")] = Path("datasets.yaml"),
    prepared: Annotated[Path, typer.Option(help="Folder to read.")] = Path("data/prepared"),
    out: Annotated[Path, typer.Option(help="Folder to write.")] = Path("data/decomposed"),
) -> None:
    """Find the facts that answer each question, by the data set's rule.

    Reads data/prepared/{train,validation,test}.parquet; writes the same names under
    data/decomposed: the gold facts and whether they state the answer, and of test the questions
    too; and manifest.json, which counts both. Params: dataset, decompose.
    """
    from tracekd import pools

    pools.tune()
    from tracekd import config, files
    from tracekd.scoring import answers
    from tracekd.traces import gold as decompose

    settings = config.load_params(params)
    spec = config.load_dataset(datasets, settings.dataset)
    answers.metric(spec.answer_metric)  # analyze wants it: a wrong name must not cost a training
    rule = decompose.rule_of(settings.dataset, spec.facts, settings.decompose.facts)
    with files.atomic_directory(out) as folder:
        found = decompose.decompose_files(prepared, folder, rule, spec.answers)
        manifest = decompose.manifest(found, settings.dataset, rule)
        files.write_json(folder / "manifest.json", manifest)


if __name__ == "__main__":
    run(main)
