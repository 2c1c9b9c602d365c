"""What `import tracekd` offers in a notebook: experiments and their tables, without a checkout.

An experiment is named as DVC names it; "workspace" is the run in dvc.lock, "commit 1a2b3c4" a
committed one. `root` is a folder of the project; the working directory by default.
"""

import json
import warnings
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

import polars as pl

from tracekd import records
from tracekd.comparison.cells import differing
from tracekd.comparison.effects import MARGIN, adjust, effect
from tracekd.comparison.experiments import collect, find_experiment, read_text
from tracekd.comparison.locks import PREDICTIONS, PROBES, SCORES, Replicate, canonical
from tracekd.comparison.scores import RegimeScores, read_scores, stack
from tracekd.comparison.store import Store, find_store
from tracekd.config.reading import leaves
from tracekd.errors import TracekdError
from tracekd.statistics.values import settle

Root = str | Path


def experiments(root: Root = ".") -> pl.DataFrame:
    """Return one row for each run that compare.py reads, the newest first.

    Runs that cannot be used are named in a warning, with the reason.

    Returns:
        `name`, `time` (UTC), each key of params.yaml as `train.epochs` (as JSON where values are
        lists, or of several types), and each number of metrics/metrics.json as `answer.accuracy`
        (shares from 0 to 1). Null where a run has no such key or number.
    """
    project = _project(root)
    found = collect(project)
    for name, reason in found.rejected.items():
        warnings.warn(f"experiment {name} cannot be used: {reason}", stacklevel=2)
    rows = []
    for one in found.experiments:
        text = read_text(project, one.commit, "metrics/metrics.json")
        made = datetime.fromtimestamp(one.time, UTC)
        params = {name: value for name, value in one.run.params.items() if ":" not in name}
        numbers = dict(leaves(json.loads(text))) if text else {}
        rows.append({"name": one.name, "time": made, **params, **numbers})
    names = dict.fromkeys(["name", "time", *(name for row in rows for name in row)])
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])


def scores(name: str, root: Root = ".") -> pl.DataFrame:
    """Return an experiment's verdicts: `records.SCORES` and the parts of the answer metric.

    Raises:
        TracekdError: if it is not in DVC's cache, with the command that fetches it.
    """
    return _table(name, root, SCORES, records.SCORES)


def predictions(name: str, root: Root = ".") -> pl.DataFrame:
    """Return an experiment's outputs by question and sample: `records.PREDICTIONS`; as `scores`."""
    return _table(name, root, PREDICTIONS, records.PREDICTIONS)


def probes(name: str, root: Root = ".") -> pl.DataFrame:
    """Return an experiment's answers by question and probe, `records.PROBES`; see `scores`."""
    return _table(name, root, PROBES, records.PROBES)


def paired(
    first: str | Sequence[str],
    second: str | Sequence[str],
    root: Root = ".",
    *,
    margin: float = MARGIN,
) -> pl.DataFrame:
    """Compare two groups of experiments on the same questions, as compare.py compares regimes.

    The experiments of a group differ in seeds alone; the groups may differ in anything. The seeds
    that both have are compared. p-values are not adjusted for other comparisons.

    Args:
        first: names of experiments, or one name: the baseline.
        second: names of those compared with it.
        root: see the module.
        margin: the largest difference that counts as none.

    Returns:
        One row for each measure of both: `seeds` compared, `n` questions; `difference`, second -
        first, of shares from 0 to 1; its 95 % interval over seeds and questions, `low` and `high`,
        and `p_value`; `verdict`, see `effects.adjust`; `over_questions_...` (the interval for these
        trained models), `over_seeds_...` (for these questions); `detectable`, with 80 % power;
        `undefined`: why there is no interval, else null.

    Raises:
        TracekdError: if a group is empty or mixed, or the questions of the two are not the same.
    """
    store = _store(_project(root))
    (before, ids), (after, other_ids) = (_group(names, store) for names in (first, second))
    if not ids.equals(other_ids):
        other = len(set(ids) ^ set(other_ids))
        raise TracekdError(f"{other} questions are not in both {first} and {second}")
    rows = []
    for measure in (name for name in before.measures if name in after.measures):
        found = effect(before, after, f"{first}/{second}/{measure}", margin, measure)
        adjust([found])
        names = ("seeds", "n", "difference", "low", "high", "p_value", "verdict", "detectable")
        row = {"measure": measure, **{name: found[name] for name in names}}
        for over in ("over_questions", "over_seeds"):
            row |= {f"{over}_{end}": found[over][end] for end in ("low", "high")}
        settled, reasons = settle(row)
        rows.append({**settled, "undefined": reasons.get("low")})
    schema: dict[str, Any] = dict.fromkeys(rows[0], pl.Float64)
    schema |= dict.fromkeys(("measure", "verdict", "undefined"), pl.String)
    schema |= {"seeds": pl.List(pl.String), "n": pl.Int64}
    return pl.DataFrame(rows, schema)


def _group(names: str | Sequence[str], store: Store) -> tuple[RegimeScores, pl.Series]:
    """Return the verdicts of seeds of one setting, and the ids of their questions."""
    chosen = [names] if isinstance(names, str) else list(names)
    group = [find_experiment(store.root, name) for name in chosen]
    mixed = ["regime"] * (len({one.run.regime for one in group}) > 1) + differing(group)
    tables: dict[Replicate, pl.DataFrame] = {}
    for one in group:
        tables[one.run.replicate] = read_scores(one, store, next(iter(tables.values()), None))
    if mixed or not tables or len(tables) < len(group):
        why = ", ".join(mixed) or ("a seed is there twice" if tables else "it is empty")
        raise TracekdError(f"{chosen}: not the seeds of one setting: {why}")
    return stack(tables), next(iter(tables.values()))["id"]


def _table(name: str, root: Root, path: str, schema: records.Schema) -> pl.DataFrame:
    store = _store(_project(root))
    return store.table(find_experiment(store.root, name), path, schema, extra=path == SCORES)


def _project(root: Root) -> Path:
    """Return the folder of the DVC project that a folder is in."""
    start = Path(root).resolve()
    for folder in (start, *start.parents):
        if (folder / ".dvc").is_dir():
            return folder
    raise TracekdError(f"{start}: not in a DVC project; change the directory, or give its root=")


#: Once for each project: DVC takes a second to say where its cache is.
_store = cache(find_store)


def _column(name: str, values: Sequence[Any]) -> pl.Series:
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return pl.Series(name, values, pl.Float64, strict=False)
    if len(kinds) > 1 or list in kinds:
        values = [None if value is None else canonical(value) for value in values]
    return pl.Series(name, values)
