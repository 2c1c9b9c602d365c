"""What keeping a teacher's traces selected: which questions, and how the others are answered.

Regimes with a teacher's traces are taught only questions for which one was kept, and which these
are follows their difficulty; with `teacher.match`, all regimes are taught the same ones.
"""

from typing import Any

import polars as pl

from tracekd import records
from tracekd.comparison.cells import Cell
from tracekd.comparison.estimates import estimate
from tracekd.comparison.scores import CellScores
from tracekd.comparison.store import Store
from tracekd.errors import TracekdError
from tracekd.statistics.values import Tree, Undefined
from tracekd.traces.regimes import REGIMES
from tracekd.traces.taught import TEACHER

_TRAIN, _TEACHER = "data/decomposed/train.parquet", "data/teacher"


def selection(cell: Cell, scores: CellScores, store: Store) -> Tree | Undefined:
    """Return what was selected in a cell, by kind of trace; nothing without a teacher.

    With `teacher.match` all kinds are one: a question then needs a trace of each.

    Returns:
        kind -> `train`: the share of training questions with a kept trace, over `all` and by
        class; `test`: label of a regime -> the estimates of its accuracy on the test questions
        `with_trace` and `without_trace`. Undefined if the traces are not on this machine.
    """
    one = scores.used[0]  # the teacher is the same in a cell
    if one.run.params.get("teacher.name", "none") == "none":
        return {}
    try:
        traces = records.read(store.folder(one, _TEACHER)["traces.parquet"], TEACHER)
        train = store.table(one, _TRAIN, records.DECOMPOSED)
    except TracekdError as error:
        return Undefined(str(error))
    kept = traces.filter("kept").group_by("kind")
    kinds = {str(kind): set(rows["id"]) for (kind,), rows in kept}
    if one.run.params.get("teacher.match"):
        kinds = {", ".join(sorted(kinds)): set.intersection(*kinds.values())} if kinds else {}
    else:
        needed = {REGIMES[label.regime].teacher for label in scores.regimes}
        kinds = {kind: kinds.get(str(kind), set()) for kind in sorted(filter(None, needed))}
    return {
        kind: {"train": _kept(ids, train), "test": _accuracies(ids, scores, f"{cell.label}/{kind}")}
        for kind, ids in kinds.items()
    }


def _kept(ids: set[str], questions: pl.DataFrame) -> dict[str, float]:
    rows = questions.select("question_class", kept=pl.col("id").is_in(list(ids)))
    classes = sorted(rows.group_by("question_class").agg(pl.col("kept").mean()).iter_rows())
    return {"all": rows["kept"].mean(), **dict(classes)}


def _accuracies(ids: set[str], scores: CellScores, key: str) -> dict[str, Any]:
    chosen = scores.ids.is_in(list(ids)).to_numpy()
    parts = {"with_trace": chosen, "without_trace": ~chosen}
    return {
        regime.label: {
            name: estimate(one.measures["answer"][:, part], f"{key}/{regime.label}/{name}")
            if part.any()
            else Undefined("no such test question")
            for name, part in parts.items()
        }
        for regime, one in scores.regimes.items()
    }
