"""The successful experiments of this repository, read from git without a checkout.

DVC keeps each successful experiment as a commit under refs/exps/<commit it started from>/<name>;
queued and failed ones stand elsewhere (refs/exps/celery, refs/exps/exec). Runs that were committed
to the branch are found by the commits that changed dvc.lock.
"""

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from tracekd.comparison.locks import Run, flat, read_lock, told
from tracekd.config import read_yaml
from tracekd.errors import TracekdError, nearest
from tracekd.traces.regimes import REGIMES

METRICS = "metrics/metrics.json"
LOCK = "dvc.lock"
_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/([^/]+)")


class Revision(NamedTuple):
    """A commit that may hold a run.

    Attributes:
        name: what DVC calls the experiment; "commit 1a2b3c4" for a run committed to the branch.
        time: when it was made (Unix time).
    """

    name: str
    commit: str
    time: int
    committed: bool


@dataclass(frozen=True)
class Experiment:
    """A successful run and where it was found.

    Attributes:
        accuracy: answer accuracy as metrics.json has it; None if it is not there.
    """

    revision: Revision
    run: Run
    accuracy: float | None

    @property
    def name(self) -> str:
        """What DVC calls the experiment, or the commit."""
        return self.revision.name

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
        """Initialisation, order, corruption."""
        return int(self.run.params["seed"])

    @property
    def regime(self) -> str:
        """The trace mode; mixed ones are told apart by their dose, e.g. "mixed 0.2"."""
        mode = str(self.run.params["trace_mode"])
        return f"{mode} {told(self.run.params.get('corruption'))}" if mode == "mixed" else mode


class Collection(NamedTuple):
    """What was found, newest first; and name -> reason for what could not be used."""

    experiments: list[Experiment]
    rejected: dict[str, str]


def collect(root: Path) -> Collection:
    """Return every successful experiment of the repository and every committed run of HEAD.

    Raises:
        TracekdError: if `root` is not in a git repository that has a commit.
    """
    revisions = sorted(
        [*_experiment_revisions(root), *_committed_revisions(root)],
        key=lambda revision: (-revision.time, revision.name),
    )
    locks = _read_files(root, [f"{revision.commit}:./{LOCK}" for revision in revisions])
    metrics = _read_files(root, [f"{revision.commit}:./{METRICS}" for revision in revisions])
    experiments: list[Experiment] = []
    rejected: dict[str, str] = {}
    runs: dict[str, Run | str] = {}
    for revision, lock, figures in zip(revisions, locks, metrics, strict=True):
        if revision.committed and lock in runs:
            continue
        if lock not in runs:
            runs[lock] = read_lock(lock) if lock else f"has no {LOCK}"
        run = runs[lock]
        if isinstance(run, str):
            rejected[revision.name] = run
        else:
            experiments.append(Experiment(revision, run, _accuracy(figures)))
    return Collection(experiments, rejected)


def choose(
    experiments: Iterable[Experiment],
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    regimes: Sequence[str] = (),
) -> list[Experiment]:
    """Return the experiments of the models, data sets and regimes named; empty means all.

    Regimes are chosen by `trace_mode`: "mixed" means every dose.

    Raises:
        TracekdError: if a name fits no experiment, or nothing is left, saying what there is.
    """
    found = list(experiments)
    if not found:
        raise TracekdError(
            "no successful experiment in this repository; run some, for instance: "
            "dvc exp run --queue -S trace_mode=none,correct,incorrect && dvc queue start "
            "(what is queued or running: dvc queue status)"
        )
    check_names("--model", models, {one.model for one in found})
    check_names("--dataset", datasets, {one.dataset for one in found})
    check_names("--regime", regimes, _regimes(found))
    kept = [
        one
        for one in found
        if (not models or one.model in models)
        and (not datasets or one.dataset in datasets)
        and (not regimes or {one.regime, one.regime.split()[0]} & set(regimes))
    ]
    if kept:
        return kept
    there = {
        "models": {one.model for one in found},
        "data sets": {one.dataset for one in found},
        "regimes": {one.regime for one in found},
    }
    raise TracekdError(
        "no experiment fits the filters; there are "
        + "; ".join(f"{what} {', '.join(sorted(names))}" for what, names in there.items())
    )


def check_names(option: str, names: Iterable[str], there: set[str]) -> None:
    """Refuse a name that no experiment has: a typing error must not look like a small table.

    Raises:
        TracekdError: naming the option, the name and the nearest ones.
    """
    for name in names:
        if name not in there:
            raise TracekdError(f"{option}: no experiment has {name!r}; {nearest(name, there)}")


def check_baselines(baselines: Iterable[str], experiments: Iterable[Experiment]) -> None:
    """Refuse a baseline that none of the chosen experiments is of; see `check_names`."""
    check_names("--baseline", baselines, _regimes(experiments))


def _regimes(experiments: Iterable[Experiment]) -> set[str]:
    """Return the regimes, those with a dose also without it, as `trace_mode` names them."""
    return {name for one in experiments for name in (one.regime, one.regime.split()[0])}


def regime_order(regime: str) -> tuple[int, str]:
    """Return a sort key: the order of `tracekd.traces.regimes.REGIMES`, then by dose."""
    names = list(REGIMES)
    mode = regime.split()[0]
    return (names.index(mode) if mode in names else len(names), regime)


def current_params(root: Path) -> dict[str, Any]:
    """Return the settings as they stand in the checkout, named as in `locks.Run.params`."""
    found: dict[str, Any] = {}
    for file in ("params.yaml", "datasets.yaml", "models.yaml"):
        content = read_yaml(root / file)
        found.update(flat(content or {}, "" if file == "params.yaml" else f"{file}:"))
    return found


def cache_dir(root: Path) -> Path:
    """Return the folder of DVC's cache, wherever the configuration puts it.

    Raises:
        TracekdError: if `root` is not a DVC project.
    """
    command = [sys.executable, "-m", "dvc", "cache", "dir"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise TracekdError(f"{root}: dvc cache dir: {done.stderr.strip()}")
    return (root / done.stdout.strip()).resolve()


def cached_file(cache: Path, md5: str) -> Path:
    """Return where DVC's cache keeps a file with that MD5."""
    return cache / "files" / "md5" / md5[:2] / md5[2:]


def _experiment_revisions(root: Path) -> list[Revision]:
    listed = _git(
        root, "for-each-ref", "--format=%(refname) %(objectname) %(committerdate:unix)", "refs/exps"
    )
    found = []
    for line in listed.splitlines():
        ref, commit, time = line.split(" ")
        if match := _EXPERIMENT.fullmatch(ref):
            found.append(Revision(match[1], commit, int(time), committed=False))
    return found


def _committed_revisions(root: Path) -> list[Revision]:
    lines = _git(root, "log", "--full-history", "--format=%H %ct", "HEAD", "--", LOCK).splitlines()
    return [
        Revision(f"commit {commit[:7]}", commit, int(time), committed=True)
        for commit, time in (line.split(" ") for line in lines)
    ]


def _read_files(root: Path, objects: Sequence[str]) -> list[str]:
    """Return the text of git objects such as "COMMIT:./dvc.lock"; "" for one that is not there."""
    if not objects:
        return []
    answer = _git_bytes(root, "cat-file", "--batch", stdin="\n".join(objects).encode())
    texts, place = [], 0
    for _ in objects:
        end = answer.index(b"\n", place)
        header = answer[place:end].split(b" ")
        place = end + 1
        if header[-1] == b"missing":
            texts.append("")
            continue
        size = int(header[-1])
        texts.append(answer[place : place + size].decode("utf-8", errors="replace"))
        place += size + 1
    return texts


def _git(root: Path, *arguments: str) -> str:
    return _git_bytes(root, *arguments).decode("utf-8", errors="replace")


def _git_bytes(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", *arguments],  # noqa: S607
            cwd=root,
            input=stdin,
            capture_output=True,
            check=False,
        )
    except FileNotFoundError as error:
        raise TracekdError("git: no such command; experiments are kept in git") from error
    if done.returncode:
        message = done.stderr.decode("utf-8", errors="replace").strip()
        raise TracekdError(f"{root}: git {arguments[0]}: {message}")
    return done.stdout


def _accuracy(figures: str) -> float | None:
    try:
        content: Any = json.loads(figures)
        return float(content["answer"]["accuracy"])
    except (ValueError, KeyError, TypeError):
        return None
