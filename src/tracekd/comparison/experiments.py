"""The successful experiments of this repository and its current run, read without a checkout.

DVC keeps each successful experiment as a commit, which holds the dvc.lock of its run, under
refs/exps/<commit it started from>/<name>; queued and failed ones have other refs.
"""

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from tracekd.comparison.locks import Run, read_lock
from tracekd.errors import TracekdError, nearest
from tracekd.repository import dvc, experiment_name, git

_LOCK = "dvc.lock"
_WORKSPACE, _COMMIT = "workspace", "commit "


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


class FoundExperiments(NamedTuple):
    """What is in the repository, newest first; and name -> reason for what cannot be used."""

    experiments: list[Experiment]
    rejected: dict[str, str]


def collect(root: Path, *, all_commits: bool = False) -> FoundExperiments:
    """Return every successful DVC experiment, the run committed last, and that in the workspace.

    With `all_commits`, also return the runs of earlier commits of this branch.
    """
    found = FoundExperiments([], {})
    seen: set[str] = set()
    for name, time, commit in _places(root, all_commits):
        text = read_text(root, commit, _LOCK)
        # A run stays in dvc.lock when DVC keeps it as an experiment, and over later commits.
        of_repro = name == _WORKSPACE or name.startswith(_COMMIT)
        if of_repro and (text in seen or not text):
            continue
        seen.add(text)
        run = _read(text)
        if isinstance(run, str):
            found.rejected[name] = run
        else:
            found.experiments.append(Experiment(name, time, run, commit))
    found.experiments.sort(key=lambda one: (-one.time, one.name))
    return found


def find_experiment(root: Path, name: str) -> Experiment:
    """Return the run with the name that DVC gives it, of two the newer; see `Experiment`."""
    places = sorted(_places(root, all_commits=True), key=lambda place: place[1])
    named = {one: (time, commit) for one, time, commit in places}
    if name not in named and name != _WORKSPACE:
        raise TracekdError(f"no successful experiment {name!r}; {nearest(name, named)}")
    time, commit = named.get(name, (0, ""))
    run = _read(read_text(root, commit, _LOCK))
    if isinstance(run, str):
        raise TracekdError(f"experiment {name}: {run}")
    return Experiment(name, time, run, commit)


def read_text(root: Path, commit: str, path: str) -> str:
    """Return a file of the project in a commit, or in the workspace; "" where there is none."""
    if commit:
        with contextlib.suppress(TracekdError):
            return git(root, "show", f"{commit}:./{path}")
        return ""
    file = root / path
    return file.read_text(encoding="utf-8") if file.is_file() else ""


def choose(
    experiments: Collection[Experiment],
    models: Sequence[str] = (),
    datasets: Sequence[str] = (),
    regimes: Sequence[str] = (),
) -> list[Experiment]:
    """Return the experiments with the given models, datasets and regimes; empty means all.

    "mixed" means that regime with every dose, "mixed 0.2" with this one. Raises if none is left.
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


def queue_states(root: Path) -> dict[str, int]:
    """Return the numbers of queued, running and failed experiments in DVC's queue, if any."""
    status = ""
    if (root / ".dvc/tmp/exps/celery").is_dir():
        with contextlib.suppress(TracekdError):  # results can be read beside a broken queue
            status = dvc(root, "queue", "status")
    last = [line.split()[-1] for line in status.splitlines() if line.strip()]
    return {s.lower(): last.count(s) for s in ("Queued", "Running", "Failed") if s in last}


def _read(text: str) -> Run | str:
    return read_lock(text) if text else f"has no {_LOCK}: nothing was run; run `dvc repro`"


def _places(root: Path, all_commits: bool) -> Iterator[tuple[str, int, str]]:
    """Yield name, time and commit of what has the dvc.lock of a run."""
    form = "--format=%(objectname) %(committerdate:unix) %(refname)"
    for line in git(root, "for-each-ref", form, "refs/exps").splitlines():
        commit, time, ref = line.split(" ")
        if name := experiment_name(ref):
            yield name, int(time), commit
    scope = "--full-history" if all_commits else "--max-count=1"
    for line in git(root, "log", scope, "--format=%H %ct", "HEAD", "--", _LOCK).splitlines():
        commit, time = line.split(" ")
        yield f"{_COMMIT}{commit[:7]}", int(time), commit
    if (lock := root / _LOCK).is_file():
        yield _WORKSPACE, int(lock.stat().st_mtime), ""
