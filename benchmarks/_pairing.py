"""Pairs: contestants in processes of their own, asked for rounds in turn, and compared by medians.

A benchmark runs itself once more for each contestant, with `--contestant NAME` at the end of its
own command line. The parent asks one at a time for a round, so that whatever else the machine does
falls on all of them, and each one's peak memory is its own. Import this first: it puts this
checkout's `src` ahead of an installed package.
"""

import json
import math
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import IO, Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

from tracekd.errors import TracekdError

ROOT = Path(__file__).resolve().parents[1]
Round = dict[str, Any]
_PACKAGES = ("torch", "transformers", "peft", "trl", "polars", "dvc")
_BYTES = 2**30
#: Lines of a contestant's output that a report of its failure shows.
_TAIL = 12


class FailedError(TracekdError):
    """A contestant or command ended early; the message ends with what it printed last."""


class Contestant:
    """A process of this very benchmark that plays rounds when asked."""

    def __init__(self, name: str) -> None:
        """Start it and wait until it is ready, so that the loading of two never overlaps."""
        self.name = name
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (closed by `close`)
        self._process = subprocess.Popen(
            [sys.executable, *sys.argv, "--contestant", name],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            text=True,
        )
        self._answer()

    def round(self, number: int) -> Round:
        """Return what round `number` measured; negative numbers warm up."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{number}\n")
        self._process.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()
        self._log.close()

    def _answer(self) -> Round:
        assert self._process.stdout is not None
        if line := self._process.stdout.readline():
            answer: Round = json.loads(line)
            return answer
        code = self._process.wait()
        raise FailedError(f"{self.name} ended with status {code}:\n{tail(self._log)}")


def tail(log: IO[bytes]) -> str:
    """Return the last lines of a log."""
    log.seek(0)
    lines = log.read().decode(errors="replace").strip().splitlines()
    return "\n".join(lines[-_TAIL:])


def play(
    names: Sequence[str], rounds: int, warm_up: int = 1, optional: Sequence[str] = ()
) -> tuple[dict[str, list[Round]], dict[str, str]]:
    """Return the rounds of each contestant, and why an optional one left.

    Args:
        names: contestants; who begins changes from round to round.
        rounds: how many are kept.
        warm_up: rounds before them, not kept.
        optional: those of `names` without which the benchmark goes on.

    Raises:
        FailedError: if another one fails.
    """
    results: dict[str, list[Round]] = {name: [] for name in names}
    left: dict[str, str] = {}
    with ExitStack() as stack:
        playing: dict[str, Contestant] = {}
        for name in names:
            try:
                playing[name] = Contestant(name)
                stack.callback(playing[name].close)
            except FailedError as error:
                _leave(name, error, optional, left)
        for number in range(-warm_up, rounds):
            for name in rotated(list(playing), number + warm_up):
                say(f"round {number + 1} of {rounds}: {name}")
                try:
                    result = playing[name].round(number)
                except (FailedError, BrokenPipeError) as error:
                    _leave(name, error, optional, left)
                    del playing[name]
                    continue
                if number >= 0:
                    results[name].append(result)
    return {name: kept for name, kept in results.items() if kept}, left


def _leave(name: str, error: Exception, optional: Sequence[str], left: dict[str, str]) -> None:
    if name not in optional:
        raise error
    left[name] = str(error)
    say(f"{name} leaves: {error}")


def serve(player: Callable[[], Callable[[int], Round]]) -> None:
    """Be a contestant: play a round for each number on stdin, answer with one JSON line.

    Args:
        player: loads what is needed and returns what plays a round. Whatever they print goes to
            stderr.
    """
    with os.fdopen(os.dup(1), "w") as answers:
        os.dup2(2, 1)
        play_round = player()
        print("{}", file=answers, flush=True)
        for line in sys.stdin:
            played = play_round(int(line))
            memory = peak_memory_bytes() + played.pop("crew_memory_bytes", 0)
            result = {**played, "peak_memory_bytes": memory}
            print(json.dumps(result), file=answers, flush=True)


def peak_memory_bytes() -> int:
    """Return the most memory this process has held: on the GPU if there is one, else RAM."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if platform.system() == "Darwin" else peak * 1024


def measure(command: Sequence[str], cwd: Path = ROOT, **environment: str) -> Round:
    """Run a command in a process of its own; return its seconds, CPU seconds and peak memory.

    Raises:
        FailedError: if its status is not 0.
    """
    with tempfile.TemporaryFile() as log:
        done = subprocess.run(
            [sys.executable, str(ROOT / "benchmarks/_measure.py"), *command],
            cwd=cwd,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            check=False,
        )
        measured: Round = json.loads(done.stdout or '{"code": null}')
        if (code := measured.pop("code")) != 0:
            status = done.returncode if code is None else code
            raise FailedError(f"{' '.join(command)} ended with status {status}:\n{tail(log)}")
    return measured


def medians(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the median of each number; the peak of memory instead.

    >>> medians([{"seconds": 1.0, "peak_memory_bytes": 5}, {"seconds": 3.0, "name": "x"}])
    {'seconds': 2.0, 'peak_memory_bytes': 5}
    """
    numbers: dict[str, list[float]] = {}
    for result in rounds:
        for key, value in result.items():
            if isinstance(value, int | float):
                numbers.setdefault(key, []).append(value)
    return {
        key: max(values) if key == "peak_memory_bytes" else statistics.median(values)
        for key, values in numbers.items()
    }


def rotated(names: list[str], by: int) -> list[str]:
    """Return `names` begun `by` places later.

    >>> rotated(["a", "b", "c"], 4)
    ['b', 'c', 'a']
    """
    start = by % max(1, len(names))
    return names[start:] + names[:start]


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float | None:
    """Return b of the fit seconds = a * sizes ** b in logarithms; None for fewer than two sizes.

    >>> round(exponent([10, 100, 1000], [2, 20, 200]), 6)
    1.0
    """
    if len(set(sizes)) < 2:
        return None
    fit = statistics.linear_regression(list(map(math.log, sizes)), list(map(math.log, seconds)))
    return fit.slope


def show(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print a table; numbers to the right, with as many digits as mean something."""
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cells = [[written(row.get(column)) for column in columns] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    for line in [columns, ["-" * width for width in widths], *cells]:
        first = line[0].ljust(widths[0])
        others = [cell.rjust(width) for cell, width in zip(line[1:], widths[1:], strict=True)]
        print("  ".join([first, *others]).rstrip())


def written(value: Any) -> str:
    """Return a cell's text.

    >>> written(1234.5), written(12.345), written(0.01234), written(None), written("x")
    ('1,234', '12.3', '0.0123', '-', 'x')
    """
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def gigabytes(size: float) -> float:
    """Return bytes as GiB."""
    return size / _BYTES


def say(message: str) -> None:
    """Tell on stderr what is going on."""
    print(message, file=sys.stderr, flush=True)


def conclude(benchmark: str, settings: Mapping[str, Any], results: Mapping[str, Any]) -> None:
    """Print the machine in words and, last, everything as one JSON line."""
    here = machine()
    print(f"\n{here['cpu']}, {here['cores']} cores, load {here['load']} at the end, {here['utc']}")
    whole = {"benchmark": benchmark, "settings": settings, "results": results, "machine": here}
    print(json.dumps(whole, default=str))


def machine() -> dict[str, Any]:
    """Return what the numbers depend on besides the code."""
    packages = {}
    for package in _PACKAGES:
        try:
            packages[package] = version(package)
        except PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "platform": platform.platform(),
        "python": platform.python_version(),
        "packages": packages,
        "utc": datetime.now(UTC).isoformat(timespec="minutes"),
    }


def _cpu() -> str:
    described = Path("/proc/cpuinfo")
    if described.exists():
        for line in described.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
