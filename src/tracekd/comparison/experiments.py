"""The successful experiments of this repository and its current run, read without a checkout.

DVC keeps each successful experiment as a commit under refs/exps/<commit it started from>/<name>;
queued and failed ones have other refs. Each commit holds the dvc.lock of its run.
"""

import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

from tracekd.comparison.locks import Run, canonical, read_lock
from tracekd.errors import TracekdError, nearest
from tracekd.traces.regimes import REGIMES

LOCK = "dvc.lock"
_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/([^/]+)")
#: The regimes that `corruption` is the dose of.
_DOSED = ("mixed",)


class DosedRegime(NamedTuple):
    """A regime, and its dose if it has one.

    Attributes:
        regime: a value of `trace_mode`.
        corruption: fraction of incorrect traces; None in a regime without a dose.
    """

    regime: str
    corruption: float | None = None

    @property
    def label(self) -> str:
        """The two as text, e.g. "mixed 0.2"."""
        if self.corruption is None:
            return self.regime
        return f"{self.regime} {canonical(self.corruption)}"

    @property
    def place(self) -> tuple[int, str, float]:
        """A sort key: the order of `tracekd.traces.regimes.REGIMES`, then the dose."""
        names = list(REGIMES)
        known = names.index(self.regime) if self.regime in names else len(names)
        return known, self.regime, self.corruption or 0.0


@dataclass(frozen=True)
class Experiment:
    """A successful run.

    Attributes:
        name: what DVC calls it; "commit 1a2b3c4" or "workspace" for a run of `dvc repro`.
        time: when it was made (Unix time).
    """

    name: str
    time: int
    run: Run

    @property
    def model(self) -> str:
        """A key of models.yaml."""
        return str(self.run.params["model"])

    @property
    def dataset(self) -> str:
        """A key of datasets.yaml."""
        return str(self.run.params["dataset"])

    @property
    def seed(self) -> int:
        """The seed of initialisation, order and corruption."""
        return int(self.run.params["seed"])

    @cached_property
    def regime(self) -> DosedRegime:
        """Which traces the student was trained on."""
        name = str(self.run.params["trace_mode"])
        return DosedRegime(name, self.run.params.get("corruption") if name in _DOSED else None)


class FoundExperiments(NamedTuple):
    """What is in the repository, newest first; and name -> reason for what cannot be used."""

    experiments: list[Experiment]
    rejected: dict[str, str]


def collect(root: Path, *, all_commits: bool = False) -> FoundExperiments:
    """Return every successful DVC experiment, the run committed last, and that in the workspace.

    Args:
        root: the root of the DVC project.
        all_commits: also return the runs of earlier commits of this branch.

    Raises:
        TracekdError: if `root` is not in a git repository that has a commit.
    """
    experiments: list[Experiment] = []
    rejected: dict[str, str] = {}
    seen: set[str] = set()
    for name, time, text, is_experiment in _locks(root, all_commits):
        # A run stays in dvc.lock when DVC keeps it as an experiment, and over later commits.
        if not is_experiment and (text in seen or not text):
            continue
        seen.add(text)
        run = read_lock(text) if text else f"has no {LOCK}"
        if isinstance(run, str):
            rejected[name] = run
        else:
            experiments.append(Experiment(name, time, run))
    return FoundExperiments(sorted(experiments, key=lambda one: (-one.time, one.name)), rejected)


def choose(
    experiments: Collection[Experiment],
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    regimes: Sequence[str] = (),
) -> list[Experiment]:
    """Return the experiments with the given models, datasets and regimes; empty means all.

    "mixed" means that regime with every dose, "mixed 0.2" with this one.

    Raises:
        TracekdError: if no experiment has one of the names, or none is left.
    """
    if not experiments:
        raise TracekdError(
            "found no finished run in this repository; run some experiments, for instance: "
            "dvc exp run --queue -S trace_mode=none,correct,incorrect && dvc queue start "
            "(queued and running experiments: dvc queue status)"
        )
    _check_names("--model", models, {one.model for one in experiments})
    _check_names("--dataset", datasets, {one.dataset for one in experiments})
    _check_names("--regime", regimes, _regime_names(experiments))
    kept = [
        one
        for one in experiments
        if (not models or one.model in models)
        and (not datasets or one.dataset in datasets)
        and (not regimes or {one.regime.regime, one.regime.label} & set(regimes))
    ]
    if not kept:
        known = {
            "models": {one.model for one in experiments},
            "datasets": {one.dataset for one in experiments},
            "regimes": {one.regime.label for one in experiments},
        }
        raise TracekdError(
            "no experiment matches all filters; there are "
            + "; ".join(f"{what} {', '.join(sorted(names))}" for what, names in known.items())
        )
    return kept


def check_baselines(baselines: Iterable[str], experiments: Iterable[Experiment]) -> None:
    """Raise if none of the experiments has one of the baseline regimes."""
    _check_names("--baseline", baselines, _regime_names(experiments))


def cache_folder_of(root: Path) -> Path:
    """Return the folder of DVC's cache, wherever its configuration puts it.

    Raises:
        TracekdError: if `root` is not a DVC project.
    """
    done = _dvc(root, "cache", "dir")
    if done.returncode:
        raise TracekdError(f"{root}: dvc cache dir: {done.stderr.strip()}")
    return (root / done.stdout.strip()).resolve()


def queue_states(root: Path) -> dict[str, int]:
    """Return how many experiments of DVC's queue are queued, running and failed, if any."""
    if not (root / ".dvc/tmp/exps/celery").is_dir():
        return {}
    rows = [line.split() for line in _dvc(root, "queue", "status").stdout.splitlines()]
    last = [row[-1] for row in rows if row]
    states = ("Queued", "Running", "Failed")
    return {state.lower(): last.count(state) for state in states if state in last}


def _check_names(option: str, names: Iterable[str], known: set[str]) -> None:
    for name in names:
        if name not in known:
            raise TracekdError(f"{option}: no experiment has {name!r}; {nearest(name, known)}")


def _regime_names(experiments: Iterable[Experiment]) -> set[str]:
    return {name for one in experiments for name in (one.regime.regime, one.regime.label)}


def _locks(root: Path, all_commits: bool) -> Iterable[tuple[str, int, str, bool]]:
    """Yield name, time and dvc.lock of each run, and whether it is an experiment."""
    form = "--format=%(objectname) %(committerdate:unix) %(refname)"
    for line in _git(root, "for-each-ref", form, "refs/exps").splitlines():
        commit, time, ref = line.split(" ")
        if match := _EXPERIMENT.fullmatch(ref):
            yield match[1], int(time), _lock_of(root, commit), True
    scope = ("--full-history",) if all_commits else ("--max-count=1",)
    for line in _git(root, "log", *scope, "--format=%H %ct", "HEAD", "--", LOCK).splitlines():
        commit, time = line.split(" ")
        yield f"commit {commit[:7]}", int(time), _lock_of(root, commit), False
    lock = root / LOCK
    if lock.is_file():
        yield "workspace", int(lock.stat().st_mtime), lock.read_text(encoding="utf-8"), False


def _lock_of(root: Path, commit: str) -> str:
    """Return the dvc.lock of a commit; "" if it has none."""
    return _run(root, "git", "show", f"{commit}:./{LOCK}").stdout


def _git(root: Path, *arguments: str) -> str:
    done = _run(root, "git", *arguments)
    if done.returncode:
        raise TracekdError(f"{root}: git {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def _dvc(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return _run(root, sys.executable, "-m", "dvc", *arguments)


def _run(root: Path, *command: str) -> "subprocess.CompletedProcess[str]":
    try:
        return subprocess.run(  # noqa: S603
            command, cwd=root, capture_output=True, encoding="utf-8", errors="replace", check=False
        )
    except FileNotFoundError as error:
        raise TracekdError(f"{command[0]}: command not found; install it") from error
