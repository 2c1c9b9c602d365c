"""The successful experiments of this repository and its current run, read without a checkout.

DVC keeps each successful experiment as a commit under refs/exps/<commit it started from>/<name>;
queued and failed ones have other refs. Each commit holds the dvc.lock of its run.
"""

import io
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tracekd.comparison.locks import Run, read_lock
from tracekd.errors import TracekdError, nearest

_LOCK = "dvc.lock"
_WORKSPACE, _COMMIT = "workspace", "commit "
_EXPERIMENT = re.compile(r"refs/exps/[0-9a-f]{2}/[0-9a-f]{38}/([^/]+)")


class Experiment(NamedTuple):
    """A successful run.

    Attributes:
        name: what DVC calls it; "commit 1a2b3c4" or "workspace" for a run of `dvc repro`.
        time: when it was made (Unix time).
        commit: of the run; "" for that in the workspace.
    """

    name: str
    time: int
    run: Run
    commit: str = ""

    @property
    def is_experiment(self) -> bool:
        """Whether DVC keeps it as an experiment."""
        return bool(self.commit) and not self.name.startswith(_COMMIT)


class FoundExperiments(NamedTuple):
    """What is in the repository, newest first; and name -> reason for what cannot be used."""

    experiments: list[Experiment]
    rejected: dict[str, str]


class _Place(NamedTuple):
    """Where the dvc.lock of a run may be."""

    name: str
    time: int
    commit: str


def collect(root: Path, *, all_commits: bool = False) -> FoundExperiments:
    """Return every successful DVC experiment, the run committed last, and that in the workspace.

    With `all_commits`, also return the runs of earlier commits of this branch.

    Raises:
        TracekdError: if `root` is not in a git repository that has a commit.
    """
    found = FoundExperiments([], {})
    seen: set[str] = set()
    places = _places(root, all_commits)
    for place, text in zip(places, read_all(root, places, _LOCK), strict=True):
        # A run stays in dvc.lock when DVC keeps it as an experiment, and over later commits.
        is_copy = place.name == _WORKSPACE or place.name.startswith(_COMMIT)
        if is_copy and (text in seen or not text):
            continue
        seen.add(text)
        run = read_lock(text) if text else f"has no {_LOCK}"
        if isinstance(run, str):
            found.rejected[place.name] = run
        else:
            found.experiments.append(Experiment(place.name, place.time, run, place.commit))
    found.experiments.sort(key=lambda one: (-one.time, one.name))
    return found


def find_experiment(root: Path, name: str) -> Experiment:
    """Return the run with the name that DVC gives it, of two the newer; see `Experiment`.

    Raises:
        TracekdError: if there is none, or its parts do not belong together.
    """
    places = _places(root, all_commits=True)
    named = [place for place in places if place.name == name]
    if not named and name == _WORKSPACE:
        raise TracekdError(f"experiment {name}: has no {_LOCK}: nothing was run; run `dvc repro`")
    if not named:
        known = {place.name for place in places}
        raise TracekdError(f"no successful experiment {name!r}; {nearest(name, known)}")
    place = max(named, key=lambda place: place.time)
    (text,) = read_all(root, [place], _LOCK)
    run = read_lock(text) if text else f"has no {_LOCK}"
    if isinstance(run, str):
        raise TracekdError(f"experiment {name}: {run}")
    return Experiment(place.name, place.time, run, place.commit)


def read_all(root: Path, places: Sequence[_Place | Experiment], path: str) -> list[str]:
    """Return the text of a file of the project in each commit, or "" where there is none."""
    commits = [place.commit for place in places if place.commit]
    asked = "".join(f"{commit}:./{path}\n" for commit in commits).encode()
    replies = io.BytesIO(_git(root, "cat-file", "--batch", stdin=asked))
    committed = {}
    for commit in commits:
        # "<object> blob <size>" and the content with a newline, or "<what was asked> missing".
        header = replies.readline().split()
        size = -1 if header[-1] == b"missing" else int(header[-1])
        committed[commit] = replies.read(size + 1)[:size] if size >= 0 else b""
    file = root / path
    here = file.read_bytes() if file.is_file() else b""
    found = (committed[place.commit] if place.commit else here for place in places)
    return [text.decode("utf-8", errors="replace") for text in found]


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
    kept = list(experiments)
    for option, names, names_of in (
        ("--model", models, lambda one: {one.run.model}),
        ("--dataset", datasets, lambda one: {one.run.dataset}),
        ("--regime", regimes, lambda one: regime_names([one])),
    ):
        check_names(option, names, set().union(*map(names_of, experiments)))
        kept = [one for one in kept if not names or names_of(one) & set(names)]
    if not kept:
        raise TracekdError("no experiment matches --model, --dataset and --regime together")
    return kept


def check_names(option: str, names: Iterable[str], known: set[str]) -> None:
    """Raise if a name given with an option is not known."""
    for name in names:
        if name not in known:
            raise TracekdError(f"{option}: no experiment has {name!r}; {nearest(name, known)}")


def regime_names(experiments: Iterable[Experiment]) -> set[str]:
    """Return the names of the experiments' regimes, with and without dose."""
    regimes = [one.run.regime for one in experiments]
    return {name for regime in regimes for name in (regime.regime, regime.label)}


def find_cache(root: Path) -> Path:
    """Return the folder of DVC's cache, wherever its configuration puts it.

    Raises:
        TracekdError: if `root` is not a DVC project.
    """
    done = _dvc(root, "cache", "dir")
    if done.returncode:
        raise TracekdError(f"{root}: dvc cache dir: {done.stderr.strip()}")
    return (root / done.stdout.strip()).resolve()


def queue_states(root: Path, known: Collection[str]) -> dict[str, Any]:
    """Return what DVC's queue holds.

    `queue` counts queued, running and failed experiments, if any; `lost` names those that ended
    with success and are not among the `known`: removed since, or lost in a shallow clone.
    """
    queued = (root / ".dvc/tmp/exps/celery").is_dir()
    status = _dvc(root, "queue", "status").stdout if queued else ""
    rows = [line.split() for line in status.splitlines() if line.strip()]
    last = [row[-1] for row in rows]
    return {
        "queue": {s.lower(): last.count(s) for s in ("Queued", "Running", "Failed") if s in last},
        "lost": [row[1] for row in rows if row[-1] == "Success" and row[1] not in known],
    }


def _places(root: Path, all_commits: bool) -> list[_Place]:
    form = "--format=%(objectname) %(committerdate:unix) %(refname)"
    places = []
    for line in _git(root, "for-each-ref", form, "refs/exps").decode().splitlines():
        commit, time, ref = line.split(" ")
        if match := _EXPERIMENT.fullmatch(ref):
            places.append(_Place(match[1], int(time), commit))
    scope = "--full-history" if all_commits else "--max-count=1"
    log = _git(root, "log", scope, "--format=%H %ct", "HEAD", "--", _LOCK)
    for line in log.decode().splitlines():
        commit, time = line.split(" ")
        places.append(_Place(f"{_COMMIT}{commit[:7]}", int(time), commit))
    if (lock := root / _LOCK).is_file():
        places.append(_Place(_WORKSPACE, int(lock.stat().st_mtime), ""))
    return places


def _git(root: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    done = subprocess.run(  # noqa: S603
        ["git", *arguments],  # noqa: S607
        cwd=root,
        input=stdin,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip()
        raise TracekdError(f"{root}: git {arguments[0]}: {reason}")
    return done.stdout


def _dvc(root: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(  # noqa: S603
        [sys.executable, "-m", "dvc", *arguments],
        cwd=root,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
