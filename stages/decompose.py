"""decompose: questions -> questions with the gold steps of their correct trace."""

import sys
from pathlib import Path

from _stage import run


def main() -> None:
    """Find the facts that answer each question, by the dataset's rule.

    Reads data/prepared/{train,validation,test}.parquet. Writes the same names under
    data/decomposed, with the gold facts and whether they state the answer, and manifest.json,
    which counts both, the test questions that training gives away, and the gold answers that the
    answer metric itself calls wrong. Params: dataset, decompose.
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
    tables["test"] = gold.with_leaks(tables["test"], tables["train"])
    wrong = check_references(tables, spec)
    manifest = gold.manifest(tables, spec.name, rule) | {"gold_scored_wrong": wrong}
    with files.atomic_directory(Path("data/decomposed")) as folder:
        for split, table in tables.items():
            records.write(table, folder / f"{split}.parquet", records.DECOMPOSED)
        files.write_json(folder / "manifest.json", manifest)
    leaks = manifest["splits"]["test"]["leaks"].items()
    counts = ", ".join(f"{kind} {count}" for kind, count in leaks)
    print(f"{spec.name}: training gives away of {len(tables['test'])} test questions: {counts}")
    for split, found in wrong.items():
        if found["count"]:
            print(
                f"{split}: {found['count']} questions whose gold answer is wrong by the metric "
                f"{spec.answer_metric} (first {found['first'][0]})",
                file=sys.stderr,
            )


if __name__ == "__main__":
    run(main)
