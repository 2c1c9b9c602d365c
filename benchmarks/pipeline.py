"""The pipeline: what DVC and start-up cost when there is nothing to do, and a cold run."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

from _pairing import ROOT, FailedError, Round, conclude, gigabytes, measure, medians, say, show
from tracekd.cli import run

#: A run that takes seconds; how much data a stage has does not matter to one with nothing to do.
_TINY: dict[str, Any] = {
    "model": "tiny_llama",
    "prepare": {"train": 33, "validation": 11, "test": 22},
    "train": {"epochs": 1, "batch_size": 8, "evaluations": 1},
    "infer": {"max_new_tokens": 12},
}
_DVC = (sys.executable, "-m", "dvc")
_ENVIRONMENT = {
    "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    **{
        f"GIT_{role}_{key}": "benchmark@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for key in ("NAME", "EMAIL")
    },
}
_EMPTY = "an interpreter alone"
_TYPER = "typer imported"


def main(
    rounds: Annotated[int, typer.Option(help="Rounds of each command.")] = 5,
    cold: Annotated[
        bool, typer.Option(help="Also the default run from nothing, and a change of regime on it.")
    ] = False,
    regime: Annotated[str, typer.Option(help="With --cold: to which it changes.")] = "incorrect",
) -> None:
    """Time `dvc repro` with nothing to do against bare DVC, and each stage's `--help`.

    Bare DVC is a chain of as many stages that copy a line of text. Both stand in temporary
    checkouts and take turns. With --cold: `dvc repro` of this checkout as it is, without any
    earlier output but with its model fetched, then `dvc exp run -S trace_mode=REGIME`. Prints
    tables and, last, one JSON line.
    """
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        results["nothing to do"] = _nothing_to_do(Path(folder), rounds)
        print()
        results["start-up"] = _start_up(rounds)
        if cold:
            print()
            results["cold"] = _cold(Path(folder, "cold"), regime)
    conclude("pipeline", {"rounds": rounds, "cold": cold, "regime": regime}, results)


def _nothing_to_do(folder: Path, rounds: int) -> dict[str, Any]:
    ours, bare = folder / "ours", folder / "bare"
    stages = list(yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"])
    _checkout(ours, _TINY)
    _bare(bare, len(stages))
    for place in (ours, bare):
        say(f"first run of {place.name}")
        _command(place, *_DVC, "repro")
    witness = ours / "metrics/run.json"
    written = witness.stat().st_mtime_ns
    found = _in_turn(
        {place.name: ([*_DVC, "repro"], place) for place in (ours, bare)}, rounds, warm_up=1
    )
    if witness.stat().st_mtime_ns != written:
        raise FailedError("dvc repro ran a stage although nothing had changed")
    extra = found["ours"]["seconds"] - found["bare"]["seconds"]
    show([{"dvc repro, nothing to do": name, **_told(median)} for name, median in found.items()])
    print(f"ours takes {extra:.2f} s more than bare DVC with as many stages ({len(stages)})")
    return {**found, "extra_seconds": extra, "stages": len(stages)}


def _start_up(rounds: int) -> dict[str, Any]:
    commands: dict[str, list[str]] = {
        _EMPTY: [sys.executable, "-c", "pass"],
        _TYPER: [sys.executable, "-c", "import typer"],
    }
    for script in sorted((ROOT / "stages").glob("[!_]*.py")):
        commands[f"{script.stem} --help"] = [sys.executable, str(script), "--help"]
    found = _in_turn({name: (command, ROOT) for name, command in commands.items()}, rounds)
    show([{"start-up": name, **_told(median)} for name, median in found.items()])
    return found


def _cold(place: Path, regime: str) -> dict[str, Round]:
    _checkout(place, {})
    say("fetching the model, if need be")
    fetch = (
        "import sys, pathlib; sys.path.insert(0, 'src'); from tracekd import config, model_sources;"
        "name = config.load_params(pathlib.Path('params.yaml')).model;"
        "model_sources.locate(name, config.load_model(pathlib.Path('models.yaml'), name))"
    )
    _command(place, sys.executable, "-c", fetch)
    say("cold run at the default settings")
    found = {"cold run": measure([*_DVC, "repro"], place, **_ENVIRONMENT)}
    _commit(place)
    say(f"change of regime to {regime}")
    change = [*_DVC, "exp", "run", "-S", f"trace_mode={regime}"]
    found[f"change to {regime}"] = measure(change, place, **_ENVIRONMENT)
    show([{"default settings": name, **_told(measured)} for name, measured in found.items()])
    return found


def _in_turn(
    commands: dict[str, tuple[Sequence[str], Path]], rounds: int, warm_up: int = 0
) -> dict[str, Round]:
    """Return the medians of commands, each in its folder, round by round."""
    kept: dict[str, list[Round]] = {name: [] for name in commands}
    for number in range(-warm_up, rounds):
        say(f"round {number + 1} of {rounds}")
        for name, (command, place) in commands.items():
            measured = measure(command, place, **_ENVIRONMENT)
            if number >= 0:
                kept[name].append(measured)
    return {
        name: {**medians(results), "all_seconds": [result["seconds"] for result in results]}
        for name, results in kept.items()
    }


def _told(measured: Round) -> dict[str, float]:
    return {
        "seconds": measured["seconds"],
        "CPU s": measured["cpu_seconds"],
        "peak GiB": gigabytes(measured["peak_memory_bytes"]),
    }


def _checkout(place: Path, changes: dict[str, Any]) -> None:
    """Copy this checkout's own files as they are now, change params.yaml, commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file():
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    for made in (place / "dvc.lock", place / "metrics/metrics.json"):
        made.unlink(missing_ok=True)
    if changes:
        path = place / "params.yaml"
        params = yaml.safe_load(path.read_text(encoding="utf-8"))
        for key, value in changes.items():
            params[key] = params[key] | value if isinstance(value, dict) else value
        path.write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    _command(place, "git", "init", "-q")
    _commit(place)


def _bare(place: Path, stages: int) -> None:
    """Make a DVC project with a chain of `stages` trivial stages, and nothing else."""
    place.mkdir()
    _command(place, "git", "init", "-q")
    _command(place, *_DVC, "init", "-q")
    shutil.copy2(ROOT / ".dvc/config", place / ".dvc/config")
    chain = {
        f"step{number}": {
            "cmd": f"cp {number - 1}.txt {number}.txt",
            "deps": [f"{number - 1}.txt"],
            "outs": [f"{number}.txt"],
        }
        for number in range(1, stages + 1)
    }
    (place / "dvc.yaml").write_text(yaml.safe_dump({"stages": chain}), encoding="utf-8")
    (place / "0.txt").write_text("a line\n", encoding="utf-8")
    _commit(place)


def _commit(place: Path) -> None:
    _command(place, "git", "add", "-A")
    _command(place, "git", "commit", "-qm", "Benchmark")


def _command(place: Path, *command: str) -> None:
    measure(command, place, **_ENVIRONMENT)


if __name__ == "__main__":
    run(main)
