"""infer: test questions -> the student's predictions."""

from pathlib import Path

from _stage import run


def main() -> None:
    """Let the student answer the test questions: greedily, or with samples.

    Reads data/sft/{test,shots}.parquet, models/student and data/sft/train.parquet; from the last,
    guesses at what comes next, which save time and change no prediction.

    Writes data/predictions.parquet and metrics/run_infer.json (time, memory, machine).
    Params: model, infer.
    """
    import polars as pl

    from tracekd import config, records
    from tracekd.generation.run import EXAMPLES, predict
    from tracekd.models.runcard import RunCard

    card = RunCard()
    settings = config.load_params(Path("params.yaml"))
    spec = config.load_model(Path("models.yaml"), settings.model)
    rows, train, shots = (
        records.read(Path(f"data/sft/{split}.parquet"), records.SFT)
        for split in ("test", "train", "shots")
    )
    predictions, facts = predict(
        spec,
        settings.infer,
        rows.to_dicts(),
        Path("models/student"),
        train.head(EXAMPLES).to_dicts(),
        shots.to_dicts(),
    )
    table = pl.DataFrame(predictions, schema=records.PREDICTIONS)
    records.write(table, out := Path("data/predictions.parquet"), records.PREDICTIONS)
    card.write(Path("metrics/run_infer.json"), facts)
    endings = ", ".join(f"{reason} {count}" for reason, count in facts["finish_reasons"].items())
    print(f"{spec.name}: {len(table)} predictions in {out} (finish reasons: {endings})")


if __name__ == "__main__":
    run(main)
