"""probe: the student's answers given other traces than its own."""

from pathlib import Path
from typing import Any

from _stage import run


def main() -> None:
    """Give the student other traces in place of its own and record its answers.

    Without probes.enabled the table has no rows, and no model is loaded.

    Reads data/decomposed, data/sft/{test,shots}.parquet, data/predictions.parquet, models/student.

    Writes data/probes.parquet and metrics/run_probe.json (time, memory, machine).
    Params: model, dataset, wrong_facts, seed, data_seed, infer, probes.
    """
    import polars as pl

    from tracekd import config, records
    from tracekd.models.runcard import RunCard

    card = RunCard()
    settings = config.load_params(Path("params.yaml"))
    rows: list[dict[str, Any]] = []
    facts: dict[str, Any] = {}
    out = Path("data/probes.parquet")
    if settings.probes.enabled:
        from tracekd.probing.asking import probe
        from tracekd.traces.grammar import Grammar

        dataset = config.load_dataset(Path("datasets.yaml"), settings.dataset)
        questions = records.read_splits()
        shown = records.read(Path("data/sft/test.parquet"), records.SFT)
        shots = records.read(Path("data/sft/shots.parquet"), records.SFT)
        predictions = records.read(Path("data/predictions.parquet"), records.PREDICTIONS)
        first = predictions.filter(sample=0).select("id", "text")
        rows, facts = probe(
            settings,
            config.load_model(Path("models.yaml"), settings.model),
            Grammar(dataset.class_sentence),
            questions,
            shown.join(first, on="id", maintain_order="left").to_dicts(),
            Path("models/student"),
            shots.to_dicts(),
        )
    table = pl.DataFrame(rows, schema=records.PROBES)
    records.write(table, out, records.PROBES)
    card.write(Path("metrics/run_probe.json"), facts)
    off = "" if settings.probes.enabled else " (params.yaml: probes.enabled)"
    print(f"{len(table)} probes of {table['id'].n_unique()} questions in {out}{off}")


if __name__ == "__main__":
    run(main)
