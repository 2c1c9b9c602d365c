"""Training: ours against TRL's SFTTrainer, on the same tokens, weights and precision."""

import statistics
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from _pairing import ROOT, conclude, gigabytes, medians, play, serve, show
from _trainers import TRL, Job, player
from tracekd.cli import run


def main(
    data: Annotated[Path, typer.Option(help="Folder with train.parquet (build-sft).")] = Path(
        "data/sft"
    ),
    model: Annotated[str, typer.Option(help="An entry of the models file.")] = "smollm2",
    models: Annotated[Path, typer.Option(help="Model entries.")] = ROOT / "models.yaml",
    params: Annotated[Path, typer.Option(help="Settings of training.")] = ROOT / "params.yaml",
    steps: Annotated[int | None, typer.Option(help="Steps a round; 16, or 50 for the curve.")] = (
        None
    ),
    rounds: Annotated[int, typer.Option(help="Rounds kept; one more warms up.")] = 3,
    batch_size: Annotated[int, typer.Option(help="Examples a step; the paper's by default.")] = 4,
    precision: Annotated[Literal["bf16", "fp32"], typer.Option(help="Of the weights.")] = "bf16",
    tune_peer: Annotated[
        bool, typer.Option(help="Give TRL's process our settings of threads and allocator too.")
    ] = False,
    reference: Annotated[
        bool, typer.Option(help="Only compare our loss curve with a plain loop in fp32.")
    ] = False,
    contestant: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Train on the first examples of DATA, in rounds, and compare.

    Prints a table and, last, one JSON line. Tokens are those of prompt and completion, padding not
    counted; seconds are those of the optimizer steps, on both sides from the Trainer's own
    callbacks. TRL (python -m pip install -e '.[peers]') runs at the settings that
    benchmarks/README.md names.
    """
    steps = steps or (50 if reference else 16)
    if contestant:
        job = partial(Job, data, model, models, params, steps, batch_size, precision)
        serve(lambda: player(contestant, job(), tune_peer=tune_peer))
        return
    settings = {
        "data": str(data),
        "model": model,
        "steps": steps,
        "rounds": rounds,
        "batch_size": batch_size,
        "precision": precision,
        "tune_peer": tune_peer,
    }
    if reference:
        _compare_curves(settings)
    else:
        _compare_speed(settings, rounds)


def _compare_speed(settings: dict[str, Any], rounds: int) -> None:
    played, left = play(["ours", *TRL, "matrix product"], rounds, optional=list(TRL))
    rate = medians(played.pop("matrix product"))["operations_per_second"]
    operations = medians(played["ours"])["operations"]
    rows = []
    for name, kept in played.items():
        median = medians(kept)
        rows.append(
            {
                "contestant": name,
                "tokens/s": median["tokens"] / median["seconds"],
                "examples/s": median["examples"] / median["seconds"],
                "peak GiB": gigabytes(median["peak_memory_bytes"]),
                "% of matmul": 100 * operations / median["seconds"] / rate,
                "mean loss": median["mean_loss"],
                "slowest round": median["tokens"] / max(r["seconds"] for r in kept),
                "fastest round": median["tokens"] / min(r["seconds"] for r in kept),
            }
        )
    show(rows)
    peers = [row for row in rows if row["contestant"] in TRL]
    best = max(peers, key=lambda row: row["tokens/s"], default=None)
    ratio = rows[0]["tokens/s"] / best["tokens/s"] if best else None
    print(f"\n{settings['precision']} matrix products here: {rate / 1e9:,.0f} GFLOP/s")
    if best:
        print(f"ours / best of TRL ({best['contestant']}): {ratio:.2f}")
    for name, why in left.items():
        print(f"not compared: {name}: {why.splitlines()[-1]}")
    results = {"table": rows, "matmul_per_second": rate, "ratio": ratio, "not_compared": left}
    conclude("train", settings, results)


def _compare_curves(settings: dict[str, Any]) -> None:
    played, _ = play(["ours", "fp32 reference"], 1, warm_up=0)
    ours, exact = (rounds[0]["losses"] for rounds in played.values())
    gaps = [abs(one - other) for one, other in zip(ours, exact, strict=True)]
    every = max(1, len(gaps) // 10)
    steps = [*range(0, len(gaps) - 1, every), len(gaps) - 1]
    show(
        [
            {
                "step": i + 1,
                "ours": f"{ours[i]:.4f}",
                "fp32 reference": f"{exact[i]:.4f}",
                "difference": f"{gaps[i]:.4f}",
            }
            for i in steps
        ]
    )
    results = {
        "largest_difference": max(gaps),
        "mean_difference": statistics.mean(gaps),
        "ours": ours,
        "reference": exact,
    }
    print(f"\nlargest difference {max(gaps):.4f} nats, mean {statistics.mean(gaps):.4f}")
    conclude("train --reference", settings, results)


if __name__ == "__main__":
    run(main)
