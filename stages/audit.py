"""audit: generations that were made elsewhere -> the same scores and statistics."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from _stage import run


def main(
    paths: Annotated[list[Path], typer.Argument(help="Folders of *.jsonl files, or such files.")],
    dataset: Annotated[str, typer.Option(help="An entry of datasets.yaml.")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="data/decomposed/test.parquet; needed for files of id and text."),
    ] = None,
    trace_mode: Annotated[
        str | None,
        typer.Option(help="Regime; by default the steps that half of the texts show are scored."),
    ] = None,
    facts: Annotated[
        Literal["paper", "full"] | None,
        typer.Option(help="Rule of the gold facts; paper by default; not with --questions."),
    ] = None,
    datasets: Annotated[Path, typer.Option(help="Data set entries.")] = Path("datasets.yaml"),
) -> None:
    """Score generations that were made elsewhere as analyze scores its own.

    Reads JSON lines: one file per class with question, facts, gold, prediction, triple_element; or
    id and text (docs/audit.md). The files of a folder are one set. Writes nothing but --out.
    """
    from tracekd import config, files, records, tables
    from tracekd.audit import rescore as audit
    from tracekd.audit.generations import read_sets
    from tracekd.report.summary import audit_summary

    spec = config.load_dataset(datasets, dataset)
    report = audit.audit(
        read_sets(paths),
        spec,
        facts=facts,
        questions=tables.read(questions, records.DECOMPOSED) if questions else None,
        trace_mode=trace_mode,
    )
    for name, found in report.items():
        print(audit_summary(f"{name} ({dataset})", found))
    if out is not None:
        table = None if questions is None else str(questions)
        rule = (facts or audit.PAPER) if questions is None else None
        made = {"dataset": dataset, "facts": rule, "questions": table, "sets": report}
        files.write_json(out, made)


if __name__ == "__main__":
    run(main)
