"""train: training text -> a LoRA adapter."""

from pathlib import Path
from typing import Annotated

import typer

from _stage import run


def main(
    params: Annotated[Path, typer.Option(help="Settings.")] = Path("params.yaml"),
    models: Annotated[Path, typer.Option(help="Model entries.")] = Path("models.yaml"),
    sft: Annotated[Path, typer.Option(help="Folder to read.")] = Path("data/sft"),
    adapter: Annotated[Path, typer.Option(help="Folder to write.")] = Path("models/student"),
    log: Annotated[Path, typer.Option(help="Folder of the live log.")] = Path("plots/train"),
    card: Annotated[Path, typer.Option(help="Run card to write.")] = Path("metrics/run_train.json"),
    pin: Annotated[
        str, typer.Option(metavar="NAME", help="Only write NAME's folder hash to the entries.")
    ] = "",
    path: Annotated[
        str, typer.Option(help="With --pin: the folder of model files; written to the entry too.")
    ] = "",
) -> None:
    """Fine-tune the chosen model on the completions, with LoRA.

    Reads data/sft/train.parquet and validation.parquet.

    Writes models/student (a PEFT adapter and training.json), plots/train (losses of trace and
    answer, step by step) and metrics/run_train.json (time, memory, machine).
    Params: model, seed, train.
    """
    from tracekd import config, errors, records, tables
    from tracekd.models import devices, runcard
    from tracekd.models import sources as model_sources
    from tracekd.training import run as training

    if path and not pin:
        raise errors.TracekdError("--path: goes with --pin NAME; see --help")
    if pin:
        print(f"{pin}: sha256 {model_sources.pin(pin, models, path or None)} written to {models}")
        return
    clock = runcard.RunCard()
    settings = config.load_params(params)
    rows = {
        split: tables.read(sft / f"{split}.parquet", records.SFT).to_dicts()
        for split in ("train", "validation")
    }
    name = settings.model
    spec = config.load_model(models, name)
    facts = training.train_adapter(
        name, spec, settings.train, settings.seed, rows, adapter, log, Path.cwd()
    )
    if devices.process_rank() == 0:
        clock.add(facts)
        clock.write(card)
        print(f"{name}: adapter in {adapter}, losses in {log}")


if __name__ == "__main__":
    run(main)
