"""teach: questions -> traces written by a teacher."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    estimate: Annotated[
        bool, typer.Option(help="Print requests and tokens of a run; ask and write nothing.")
    ] = False,
    export: Annotated[
        str, typer.Option(metavar="FILE", help="Only write the traces as JSON lines for others.")
    ] = "",
    pin: Annotated[str, typer.Option(help="Only write this entry's hash to teachers.yaml.")] = "",
    path: Annotated[str, typer.Option(help="With --pin: its traces, or its student.")] = "",
) -> None:
    """Ask the chosen teacher for traces of all questions; `none` writes an empty table.

    Reads data/decomposed. Replies are kept in .teacher/, where the next run finds them. Writes
    data/teacher: traces.parquet, with verdicts on traces and answers, and manifest.json.
    Params: dataset, data_seed, teacher.{name,samples,keep}.
    """
    from tracekd import config, files, records
    from tracekd.errors import TracekdError
    from tracekd.teacher import published
    from tracekd.teacher import run as teacher
    from tracekd.traces.taught import TEACHER

    teachers, out = Path("teachers.yaml"), Path("data/teacher")
    if path and not pin:
        raise TracekdError("--path needs --pin NAME; see --help")
    if pin:
        print(f"{pin}: sha256 {published.pin(pin, teachers, path or None)} written to {teachers}")
        return
    params = config.load_params(Path("params.yaml"))
    spec = config.load_teacher(teachers, params.teacher.name)
    dataset = config.load_dataset(Path("datasets.yaml"), params.dataset)
    tables = records.read_splits()
    if export:
        traces = records.read(out / "traces.parquet", TEACHER)
        print(f"{teacher.export(traces, tables.values(), Path(export))} traces in {export}")
        return
    task = teacher.Task(spec, tables, params, dataset, Path("models.yaml"))
    if estimate:
        print(f"{spec.name}: {teacher.estimated(task)}")
        return
    traces, manifest = teacher.teach(task)
    with files.atomic_directory(out) as folder:
        records.write(traces, folder / "traces.parquet", TEACHER)
        files.write_json(folder / "manifest.json", manifest)
    for line in [f"{len(traces)} traces in {out}", *teacher.messages(manifest)]:
        print(f"{spec.name}: {line}")


if __name__ == "__main__":
    run(main)
