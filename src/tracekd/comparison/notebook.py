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
from tracekd.comparison.experiments import collect, find_experiment, read_all
from tracekd.comparison.locks import PREDICTIONS, PROBES, SCORES, Replicate, canonical, leaves
from tracekd.comparison.scores import MEASURES, read_scores, stack
from tracekd.comparison.store import Store, find_store
from tracekd.errors import TracekdError
from tracekd.statistics.values import Undefined, settle

Root = str | Path


def experiments(root: Root = ".", *, all_commits: bool = False) -> pl.DataFrame:
    """Return one row for each successful run, the newest first: what compare.py reads.

    Runs that cannot be used are named in a warning, with the reason.

    Args:
        root: see the module.
        all_commits: include the runs of earlier commits.

    Returns:
        `name`, `time` (UTC), each key of params.yaml as `train.epochs` (as JSON where values are
        lists, or of several types), and each number of metrics/metrics.json as `answer.accuracy`
        (shares from 0 to 1). Null where a run has no such key or number.
    """
    project = _project(root)
    found = collect(project, all_commits=all_commits)
    for name, reason in found.rejected.items():
        warnings.warn(f"experiment {name} cannot be used: {reason}", stacklevel=2)
    rows = []
    metrics = read_all(project, found.experiments, "metrics/metrics.json")
    for one, text in zip(found.experiments, metrics, strict=True):
        made = datetime.fromtimestamp(one.time, UTC)
        params = {name: value for name, value in one.run.params.items() if ":" not in name}
        numbers = dict(leaves(json.loads(text))) if text else {}
        rows.append({"name": one.name, "time": made, **params, **numbers})
    names = dict.fromkeys(name for row in rows for name in row)
    return pl.DataFrame([_column(name, [row.get(name) for row in rows]) for name in names])


def scores(name: str, root: Root = ".") -> pl.DataFrame:
    """Return an experiment's verdicts, `records.SCORES` and the parts of the answer metric.

    One row for each test question. Raises TracekdError, with the command that fetches it, if the
    table is not in DVC's cache.
    """
    return _table(name, root, SCORES, records.SCORES)


def predictions(name: str, root: Root = ".") -> pl.DataFrame:
    """Return an experiment's predictions, `records.PREDICTIONS`; see `scores`.

    One row for each test question and sample.
    """
    return _table(name, root, PREDICTIONS, records.PREDICTIONS)


def probes(name: str, root: Root = ".") -> pl.DataFrame:
    """Return an experiment's answers given other traces, `records.PROBES`; see `scores`.

    One row for each question and probe; none if probes were off.
    """
    return _table(name, root, PROBES, records.PROBES)


def paired(
    first: str | Sequence[str],
    second: str | Sequence[str],
    root: Root = ".",
    *,
    margin: float = MARGIN,
) -> pl.DataFrame:
    """Compare two groups of experiments on the same questions, as compare.py compares regimes.

    The experiments of a group differ in `seed` and `sample_seed` alone; the two groups may differ
    in anything. Seeds that both have are compared. p-values are adjusted for no other comparison.

    Args:
        first: names of experiments, or one name: the baseline.
        second: the same of the group compared with it.
        root: see the module.
        margin: the largest difference that counts as none.

    Returns:
        One row for each measure of both: `measure`, `seeds` (compared), `n` (questions);
        `difference`, second - first, of the means, shares from -1 to 1; `low` and `high`, its 95 %
        interval over seeds and questions, and `p_value`; `verdict`, see `effects.adjust`; the
        intervals `over_questions_low`, `..._high` (these trained models) and `over_seeds_low`,
        `..._high` (these questions); `detectable`, the least difference that this design finds with
        80 % power; `undefined`: why there is no interval, else null.

    Raises:
        TracekdError: if a group is empty or mixed, or the questions of the two are not the same.
    """
    store = _store(_project(root))
    sides = [_group(one, store) for one in (first, second)]
    (before, ids), (after, other_ids) = ((stack(tables), ids) for tables, ids in sides)
    if not ids.equals(other_ids):
        other = len(set(ids) ^ set(other_ids))
        raise TracekdError(f"{other} questions are not in both {first} and {second}")
    rows = []
    for measure in [
        name for name in MEASURES if name in before.measures and name in after.measures
    ]:
        found = effect(before, after, f"{first}/{second}/{measure}", margin, measure)
        adjust([found])
        low = found["low"]
        reason = low.reason if isinstance(low, Undefined) else None
        row = {"measure": measure, "seeds": found["seeds"], "n": found["n"]}
        row |= {name: found[name] for name in ("difference", "low", "high", "p_value", "verdict")}
        for over in ("over_questions", "over_seeds"):
            row |= {f"{over}_{end}": found[over][end] for end in ("low", "high")}
        rows.append(settle(row | {"detectable": found["detectable"]})[0] | {"undefined": reason})
    return pl.DataFrame(rows, infer_schema_length=None)


def _group(
    names: str | Sequence[str], store: Store
) -> tuple[dict[Replicate, pl.DataFrame], pl.Series]:
    chosen = [names] if isinstance(names, str) else list(names)
    if not chosen:
        raise TracekdError("a group of experiments to compare is empty")
    group = [find_experiment(store.root, name) for name in chosen]
    mixed = differing(group)
    if len({one.run.regime for one in group}) > 1:
        mixed = ["trace_mode or corruption", *mixed]
    if mixed:
        raise TracekdError(
            f"{', '.join(chosen)}: not seeds of one setting: {', '.join(mixed)} differ"
        )
    tables: dict[Replicate, pl.DataFrame] = {}
    for one in group:
        if one.run.replicate in tables:
            raise TracekdError(f"{', '.join(chosen)}: two have seed {one.run.replicate.label}")
        tables[one.run.replicate] = read_scores(one, store, next(iter(tables.values()), None))
    return tables, next(iter(tables.values()))["id"]


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
