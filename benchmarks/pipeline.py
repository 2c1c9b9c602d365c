"""The pipeline as a user meets it: nothing to do, `--help`, a cold default run, another regime.

Copies this checkout as it is into a temporary folder and times whole commands. Prints tables and,
last, one JSON line.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml

ROOT = Path(__file__).resolve().parents[1]
DVC = (sys.executable, "-m", "dvc")
#: Enough for `dvc repro` to have something to check.
SMALL: dict[str, Any] = {
    "model": "tiny_llama",
    "sample_size": None,
    "prepare": {"train": 33, "validation": 11, "test": 22},
    "train": {"epochs": 1, "batch_size": 8, "compile": "never"},
    "infer": {"max_new_tokens": 12},
}


def main(
    rounds: Annotated[int, typer.Option(help="Rounds of each short command.")] = 5,
    cold: Annotated[
        bool, typer.Option(help="Also the default run, and a change of regime.")
    ] = False,
) -> None:
    """Time `dvc repro` with nothing to do beside bare DVC, `--help`, and with --cold whole runs.

    Bare DVC is a chain of as many stages that copy a line of text. Prints tables and, last, one
    JSON line.
    """
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as folder:
        ours, bare = checkout(Path(folder, "ours"), SMALL), chain(Path(folder, "bare"))
        for place in (ours, bare):
            timed(place, *DVC, "repro")
        commands: dict[str, tuple[Path, *tuple[str, ...]]] = {
            "nothing to do": (ours, *DVC, "repro"),
            "bare DVC": (bare, *DVC, "repro"),
        }
        for script in sorted((ROOT / "stages").glob("[!_]*.py")):
            commands[f"{script.stem} --help"] = (ROOT, sys.executable, str(script), "--help")
        taken: dict[str, list[float]] = {name: [] for name in commands}
        for _ in range(rounds):  # in turn, so that a busy moment falls on all
            for name, (place, *command) in commands.items():
                taken[name].append(timed(place, *command)["seconds"])
        for name, seconds in taken.items():
            results[name] = {"seconds": round(statistics.median(seconds), 2)}
        if cold:
            place = checkout(Path(folder, "cold"), {})
            results["cold run"] = timed(place, *DVC, "repro")
            commit(place)
            change = ("exp", "run", "-S", "trace_mode=incorrect")
            results["another regime"] = timed(place, *DVC, *change)
    for name, found in results.items():
        memory = f"{found['peak_gib']:8.2f} GiB" if "peak_gib" in found else ""
        print(f"{name:20}{found['seconds']:8.2f} s{memory}")
    processor = platform.processor() or platform.machine()
    print(json.dumps({"benchmark": "pipeline", "processor": processor, "results": results}))


def timed(place: Path, *command: str) -> dict[str, float]:
    """Return the seconds and the largest process's peak memory of a command that must succeed."""
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    author = {
        f"GIT_{role}_{key}": "benchmark@example.org"
        for role in ("AUTHOR", "COMMITTER")
        for key in ("NAME", "EMAIL")
    }
    started = time.perf_counter()
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=place, env=os.environ | author | {"PATH": path}, stdout=log, stderr=log
        )
        _, status, usage = os.wait4(process.pid, 0)
        if status:
            log.seek(0)
            sys.exit(f"{' '.join(command)} failed:\n{log.read().decode()[-2000:]}")
    unit = 2**30 if sys.platform == "darwin" else 2**20  # ru_maxrss: bytes there, KiB elsewhere
    seconds = round(time.perf_counter() - started, 2)
    return {"seconds": seconds, "peak_gib": round(usage.ru_maxrss / unit, 2)}


def checkout(place: Path, changes: dict[str, Any]) -> Path:
    """Copy this checkout's files as they are now, without results; change params.yaml; commit."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split("\0")
    for name in filter(None, listed):
        if (ROOT / name).is_file() and name not in ("dvc.lock", "metrics/metrics.json"):
            (place / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, place / name)
    params = yaml.safe_load((place / "params.yaml").read_text(encoding="utf-8"))
    for key, value in changes.items():
        params[key] = params[key] | value if isinstance(value, dict) else value
    (place / "params.yaml").write_text(yaml.safe_dump(params, sort_keys=False), encoding="utf-8")
    timed(place, "git", "init", "-q")
    commit(place)
    return place


def chain(place: Path) -> Path:
    """Make a DVC project with as many stages as ours, each of which copies a line."""
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text(encoding="utf-8"))["stages"]
    place.mkdir()
    timed(place, "git", "init", "-q")
    timed(place, *DVC, "init", "-q")
    shutil.copy2(ROOT / ".dvc/config", place / ".dvc/config")
    steps = {
        f"step{n}": {
            "cmd": f"cp {n - 1}.txt {n}.txt",
            "deps": [f"{n - 1}.txt"],
            "outs": [f"{n}.txt"],
        }
        for n in range(1, len(stages) + 1)
    }
    (place / "dvc.yaml").write_text(yaml.safe_dump({"stages": steps}), encoding="utf-8")
    (place / "0.txt").write_text("a line\n", encoding="utf-8")
    commit(place)
    return place


def commit(place: Path) -> None:
    """Commit everything."""
    timed(place, "git", "add", "-A")
    timed(place, "git", "commit", "-qm", "Benchmark")


if __name__ == "__main__":
    typer.run(main)
