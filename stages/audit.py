"""audit: texts generated elsewhere -> the same scores and statistics as analyze."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from _stage import run


def main(
    paths: Annotated[list[Path], typer.Argument(help="Folders of JSON lines, or such files.")],
    dataset: Annotated[str, typer.Option(help="An entry of datasets.yaml.")],
    out: Annotated[Path | None, typer.Option(help="JSON file to write.")] = None,
    questions: Annotated[
        Path | None,
        typer.Option(help="data/decomposed/test.parquet; required for files with id and text."),
    ] = None,
    trace_mode: Annotated[
        str | None,
        typer.Option(help="Regime; default: score the steps that half of the texts show."),
    ] = None,
    facts: Annotated[
        Literal["paper", "full"] | None,
        typer.Option(help="Rule for the gold facts; default: paper; not with --questions."),
    ] = None,
    repeated: Annotated[
        Literal["first", "keep"], typer.Option(help="Of several records of a question.")
    ] = "keep",
) -> None:
    """Score texts generated elsewhere exactly as analyze scores its own.

    Reads JSON lines in the formats of the paper's release, or with the fields id and text
    (docs/audit.md); compares sets on the same questions. Trains no model, and writes only --out.
    """
    from tracekd import config, records
    from tracekd.audit import pairs
    from tracekd.audit.generations import read_sets
    from tracekd.audit.rescore import DEFAULT_FACTS, audit
    from tracekd.files import write_json
    from tracekd.report.summary import audit_summary

    spec = config.load_dataset(Path("datasets.yaml"), dataset, "--dataset")
    table = records.read(questions, records.DECOMPOSED) if questions else None
    sets = read_sets(paths, repeated)
    report = audit(sets, spec, facts=facts, questions=table, trace_mode=trace_mode)
    for name, found in report.items():
        print(audit_summary(f"{name} ({dataset})", found))
    compared, undefined = pairs.compare_sets(report)
    if compared["pairs"]:
        print(pairs.to_text(compared))
    if out is not None:
        rule = (facts or DEFAULT_FACTS) if questions is None else None
        made = {"dataset": dataset, "facts": rule, "questions": questions and str(questions)}
        write_json(out, {**made, "sets": report, **compared, "undefined": undefined})


if __name__ == "__main__":
    run(main)
