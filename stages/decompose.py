"""decompose: questions -> questions with the gold steps of their correct trace."""

import sys
from pathlib import Path

from _stage import run


def main() -> None:
    """Find the facts that answer each question, by the dataset's rule.

    Reads data/prepared/{train,validation,test}.parquet. Writes the same names under
    data/decomposed, with the gold facts and whether they state the answer, and manifest.json,
    which counts both, and the gold answers that the answer metric itself calls wrong.
    Params: dataset, decompose.
    """
    from tracekd import config, files, records
    from tracekd.scoring.references import check_references
    from tracekd.traces import gold

    settings = config.load_params(Path("params.yaml"))
    spec = config.load_dataset(Path("datasets.yaml"), settings.dataset)
    rule = gold.rule_of(spec, settings.decompose.facts)
    tables = {
        split: gold.decompose(
            records.read(Path(f"data/prepared/{split}.parquet"), records.QUESTIONS),
            rule,
            spec.answers,
        )
        for split in records.SPLITS
    }
    wrong = check_references(tables, spec)
    with files.atomic_directory(Path("data/decomposed")) as folder:
        for split, table in tables.items():
            records.write(table, folder / f"{split}.parquet", records.DECOMPOSED)
        manifest = gold.manifest(tables, spec.name, rule) | {"gold_scored_wrong": wrong}
        files.write_json(folder / "manifest.json", manifest)
    for split, found in wrong.items():
        if found["count"]:
            print(
                f"{split}: {found['count']} questions whose gold answer is wrong by the metric "
                f"{spec.answer_metric} (first {found['first'][0]})",
                file=sys.stderr,
            )


if __name__ == "__main__":
    run(main)
