"""Inference: ours against `generate` of transformers and the authors' loop, token by token."""

from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from _generators import Job, player
from _pairing import ROOT, Round, conclude, gigabytes, medians, play, serve, show
from tracekd.cli import run


def main(
    data: Annotated[Path, typer.Option(help="Folder with test.parquet (build-sft).")] = Path(
        "data/sft"
    ),
    model: Annotated[str, typer.Option(help="An entry of the models file.")] = "smollm2",
    models: Annotated[Path, typer.Option(help="Model entries.")] = ROOT / "models.yaml",
    adapter: Annotated[
        Path | None, typer.Option(help="A trained adapter; without one the student rambles on.")
    ] = None,
    backend: Annotated[
        str, typer.Option(help="A name in tracekd.generation.backends.BACKENDS.")
    ] = "transformers",
    questions: Annotated[int, typer.Option(help="First so many of the test questions.")] = 128,
    batch_size: Annotated[int, typer.Option(help="Of ours: as in params.yaml.")] = 64,
    peer_batch_size: Annotated[int, typer.Option(help="Of generate.")] = 32,
    new_tokens: Annotated[int, typer.Option(help="Most new tokens of an answer.")] = 256,
    authors: Annotated[
        int, typer.Option(help="Questions a round for the authors' loop; 0: leave it out.")
    ] = 2,
    rounds: Annotated[int, typer.Option(help="Rounds kept; one more warms up.")] = 3,
    fp32: Annotated[bool, typer.Option(help="In fp32, where all tokens must agree.")] = False,
    tune_peer: Annotated[
        bool, typer.Option(help="Give the peers' processes our settings of threads and allocator.")
    ] = False,
    contestant: Annotated[str, typer.Option(hidden=True)] = "",
) -> None:
    """Answer test questions greedily, in rounds, and compare speed and tokens.

    Prints a table and, last, one JSON line. Seconds are from the prompts' text to the answers'
    text; the first round (which may compile) warms up and stands apart. The authors' loop (a batch
    of one, cache off) answers a few questions only; its seconds for all are extrapolated by new
    tokens. Exit status 1 if tokens differ in fp32.
    """
    precision: Literal["fp32", "bf16"] = "fp32" if fp32 else "bf16"
    if contestant:
        job = partial(
            Job,
            data,
            model,
            models,
            adapter,
            questions,
            (batch_size, peer_batch_size),
            new_tokens,
            authors,
            precision,
        )
        serve(lambda: player(contestant, job(), backend, tune_peer=tune_peer))
        return
    settings = {
        "data": str(data),
        "model": model,
        "adapter": str(adapter) if adapter else None,
        "backend": backend,
        "questions": questions,
        "batch_size": batch_size,
        "peer_batch_size": peer_batch_size,
        "new_tokens": new_tokens,
        "authors": authors,
        "rounds": rounds,
        "precision": precision,
        "tune_peer": tune_peer,
    }
    _compare(settings, ["generate", "authors"] if authors else ["generate"], rounds)


def _compare(settings: dict[str, Any], peers: list[str], rounds: int) -> None:
    played, _ = play(["ours", *peers, "matrix product"], rounds)
    rate = medians(played.pop("matrix product"))["operations_per_second"]
    rows = [_row(name, kept, rate) for name, kept in played.items()]
    show(rows)
    print(f"\n{settings['precision']} matrix products here: {rate / 1e9:,.0f} GFLOP/s")
    ratios, agreements = {}, {}
    for row in rows[1:]:
        peer = row["contestant"]
        ratios[peer] = rows[0]["new tokens/s"] / row["new tokens/s"]
        agreements[peer] = agreement(played["ours"][0]["said"], played[peer][0]["said"])
        print(f"ours / {peer}: {ratios[peer]:.2f} by new tokens/s; {_told(agreements[peer])}")
    if "authors" in ratios:
        all_tokens = medians(played["ours"])["new_tokens"]
        seconds = all_tokens / rows[-1]["new tokens/s"]
        print(
            f"authors' loop: {settings['authors']} of {settings['questions']} questions measured; "
            f"extrapolated by new tokens, all would take {seconds:,.0f} s"
        )
    results = {
        "table": rows,
        "matmul_per_second": rate,
        "ratios": ratios,
        "agreement": agreements,
    }
    conclude("inference", settings, results)
    if settings["precision"] == "fp32" and any(
        found["equal_answers"] < found["answers"] for found in agreements.values()
    ):
        raise typer.Exit(1)


def _row(name: str, kept: list[Round], rate: float) -> dict[str, Any]:
    median = medians(kept)
    seconds = median["seconds"]
    return {
        "contestant": name,
        "questions": kept[0]["questions"],
        "seconds": seconds,
        "first round": median["first_seconds"],
        "new tokens/s": median["new_tokens"] / seconds,
        "questions/s": median["questions"] / seconds,
        "prompt and new tokens/s": (median["prompt_tokens"] + median["new_tokens"]) / seconds,
        "peak GiB": gigabytes(median["peak_memory_bytes"]),
        "% of matmul": 100 * median["operations"] / seconds / rate,
    }


def agreement(ours: dict[str, list[int]], theirs: dict[str, list[int]]) -> dict[str, int]:
    """Return how far answers agree, of the questions that both have.

    Args:
        ours: new tokens by question.
        theirs: likewise.

    Returns:
        `answers` both have, `equal_answers` among them; `tokens` in ours, and of these
        `equal_tokens` before the first difference of each.

    >>> agreement({"a": [1, 2, 3], "b": [4]}, {"a": [1, 9, 3]})
    {'answers': 1, 'equal_answers': 0, 'tokens': 3, 'equal_tokens': 1}
    """
    shared = [(said, theirs[key]) for key, said in ours.items() if key in theirs]
    return {
        "answers": len(shared),
        "equal_answers": sum(one == other for one, other in shared),
        "tokens": sum(len(one) for one, _ in shared),
        "equal_tokens": sum(_alike(one, other) for one, other in shared),
    }


def _alike(one: list[int], other: list[int]) -> int:
    for place, (mine, yours) in enumerate(zip(one, other, strict=False)):
        if mine != yours:
            return place
    return min(len(one), len(other))


def _told(found: dict[str, int]) -> str:
    return (
        f"{found['equal_answers']} of {found['answers']} answers the same, "
        f"{found['equal_tokens'] / max(1, found['tokens']):.1%} of tokens before a difference"
    )


if __name__ == "__main__":
    run(main)
