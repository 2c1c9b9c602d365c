"""Inference: our backends against `generate` of transformers and the authors' loop."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from tracekd import config, records
from tracekd.errors import TracekdError
from tracekd.generation.backends import Student, backend_module, stop_ids
from tracekd.generation.batches import length_batches
from tracekd.generation.run import EXAMPLES, example_ids
from tracekd.models.devices import choose_device
from tracekd.models.loading import load_encoder, load_student
from tracekd.models.sources import locate

Answers = dict[int, list[int]]


def main(
    project: Annotated[
        Path, typer.Option(help="Where the pipeline has run: data/sft and models/student are read.")
    ] = Path(),
    backend: Annotated[str, typer.Option(help="As infer.backend in params.yaml.")] = "transformers",
    questions: Annotated[int, typer.Option(help="How many test questions.")] = 64,
    batch_size: Annotated[int, typer.Option(help="Of our backend.")] = 64,
    peer_batch_size: Annotated[int, typer.Option(help="Of generate.")] = 32,
    new_tokens: Annotated[int, typer.Option(help="Most new tokens of an answer.")] = 256,
    authors: Annotated[int, typer.Option(help="Questions for the authors' loop; 0: none.")] = 2,
    rounds: Annotated[int, typer.Option(help="Rounds kept; one more warms up.")] = 3,
    fp32: Annotated[bool, typer.Option(help="In fp32, where all tokens must agree.")] = False,
) -> None:
    """Answer test questions greedily, contestants in turn, and compare speed and tokens.

    The authors' loop is a batch of one without a cache. Prints a table and, last, one JSON line.
    Exit status 1 if tokens differ in fp32.
    """
    import torch

    from tracekd.generation.plain import PlainDecoder

    settings = config.load_params(project / "params.yaml")
    spec = config.load_model(project / "models.yaml", settings.model)
    tables = {
        split: records.read(project / f"data/sft/{split}.parquet", records.SFT).to_dicts()
        for split in ("train", "test")
    }
    rows = tables["test"][:questions]
    if len(rows) < questions:
        raise TracekdError(f"{project}: only {len(rows)} test questions; lower --questions")
    device, encoder = choose_device(), load_encoder(spec)
    if fp32:
        device = replace(device, dtype=torch.float32)
    prompts = [encoder.prompt_ids(row["system"], row["prompt"]) for row in rows]
    stops = stop_ids(locate(spec), encoder)

    def load(where: Any) -> Any:
        return load_student(spec, project / "models/student", where)

    ours = backend_module(backend).make(
        Student(
            load,
            *(device, encoder, stops, spec.max_length),
            [example_ids(encoder, row) for row in tables["train"][:EXAMPLES]],
        )
    )
    plain = PlainDecoder(load(device), stops)

    def in_batches(decoder: Any, size: int) -> Answers:
        answers: Answers = {}
        for batch in length_batches([len(prompt) for prompt in prompts], size):
            made = decoder.generate([prompts[row] for row in batch], [new_tokens] * len(batch))
            answers.update(zip(batch, made, strict=True))
        return answers

    def authors_loop() -> Answers:
        plain.model.generation_config.use_cache = False
        chosen = range(0, questions, max(1, questions // authors))[:authors]
        answers = {row: plain.generate([prompts[row]], [new_tokens])[0] for row in chosen}
        plain.model.generation_config.use_cache = True
        return answers

    contestants: dict[str, Callable[[], Answers]] = {
        "ours": lambda: in_batches(ours, batch_size),
        "generate": lambda: in_batches(plain, peer_batch_size),
    }
    if authors:
        contestants["authors' loop"] = authors_loop
    measured, answers = in_turn(contestants, rounds, device.device.type == "cuda")
    results = {
        name: {
            "questions": len(answers[name]),
            "seconds": round(statistics.median(seconds), 2),
            "new_tokens_per_second": round(
                sum(map(len, answers[name].values())) / statistics.median(seconds), 1
            ),
            **agreement(answers["ours"], answers[name]),
        }
        for name, seconds in measured.items()
    }
    report(results)
    machine = {
        "device": device.describe(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
    }
    print(json.dumps({"benchmark": "inference", "results": results, "machine": machine}))
    if fp32 and any(one["equal"] < one["compared"] for one in results.values()):
        raise typer.Exit(1)


def in_turn(
    contestants: dict[str, Callable[[], Answers]], rounds: int, on_gpu: bool
) -> tuple[dict[str, list[float]], dict[str, Answers]]:
    """Return the seconds of each contestant's rounds, and its answers; the first round warms up."""
    import torch

    seconds: dict[str, list[float]] = {name: [] for name in contestants}
    answers: dict[str, Answers] = {}
    for number in range(rounds + 1):
        names = list(contestants)
        for name in names if number % 2 else reversed(names):
            started = time.perf_counter()
            answers[name] = contestants[name]()
            if on_gpu:
                torch.cuda.synchronize()
            if number:
                seconds[name].append(time.perf_counter() - started)
            print(f"round {number} of {rounds}: {name}", file=sys.stderr)
    return seconds, answers


def agreement(ours: Answers, theirs: Answers) -> dict[str, int]:
    """Return how many answers both have, and how many of these are equal.

    >>> agreement({0: [1, 2], 1: [4]}, {0: [1, 9]})
    {'compared': 1, 'equal': 0}
    """
    shared = ours.keys() & theirs.keys()
    return {"compared": len(shared), "equal": sum(ours[row] == theirs[row] for row in shared)}


def report(results: dict[str, dict[str, Any]]) -> None:
    """Print a table, and how many times as fast ours is."""
    ours = results["ours"]["new_tokens_per_second"]
    print(f"{'':16}{'questions':>10}{'seconds':>10}{'new tokens/s':>14}{'ours/it':>9}{'equal':>10}")
    for name, one in results.items():
        ratio = ours / one["new_tokens_per_second"]
        equal = f"{one['equal']} of {one['compared']}"
        print(
            f"{name:16}{one['questions']:>10}{one['seconds']:>10.1f}"
            f"{one['new_tokens_per_second']:>14.1f}{ratio:>9.2f}{equal:>10}"
        )


if __name__ == "__main__":
    try:
        typer.run(main)
    except TracekdError as error:
        sys.exit(f"error: {error}")
