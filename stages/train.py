"""train: training text -> a student."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    pin: Annotated[
        str,
        typer.Option(metavar="NAME", help="Only pin a model's folder, or that of train.start."),
    ] = "",
    path: Annotated[
        str, typer.Option(help="With --pin: the folder of model files; written to the entry too.")
    ] = "",
) -> None:
    """Fine-tune the chosen model on the completions, by train.method, in a process for each GPU.

    Reads data/sft/{train,validation,shots}.parquet. Writes models/student (a PEFT adapter or a
    whole model, and training.json), plots/train (losses of trace and answer, step by step) and
    metrics/run_train.json (time, memory, machine). Params: model, seed, train.
    """
    from tracekd import config, records
    from tracekd.errors import TracekdError
    from tracekd.models import sources
    from tracekd.models.runcard import RunCard

    models, settings = Path("models.yaml"), Path("params.yaml")
    if path and not pin:
        raise TracekdError("--path needs --pin NAME; see --help")
    if pin == "train.start":
        print(f"{pin}: sha256 {sources.pin_start(settings, path)} written to {settings}")
        return
    if pin:
        print(f"{pin}: sha256 {sources.pin(pin, models, path or None)} written to {models}")
        return
    from tracekd.training.processes import launch, process_count
    from tracekd.training.run import train

    card = RunCard()
    params = config.load_params(settings)
    rows = {
        split: records.read(Path(f"data/sft/{split}.parquet"), records.SFT).to_dicts()
        for split in ("train", "validation", "shots")
    }
    student, log = Path("models/student"), Path("plots/train")
    spec = config.load_model(models, params.model)
    count = 1 if params.train.method == "none" else process_count()
    facts = launch(count, train, spec, rows, params.train, params.seed, student, log)
    card.write(Path("metrics/run_train.json"), facts)
    print(f"{spec.name}: student ({params.train.method}) in {student}, losses in {log}")


if __name__ == "__main__":
    run(main)
