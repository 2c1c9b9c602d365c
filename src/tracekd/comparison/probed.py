"""Probes over seeds: answers given other traces in place of the student's own."""

from collections.abc import Iterable

import numpy as np
import polars as pl

from tracekd import records
from tracekd.comparison.effects import effect
from tracekd.comparison.estimates import estimate
from tracekd.comparison.experiments import Experiment
from tracekd.comparison.locks import PREDICTIONS, PROBES, QUESTIONS
from tracekd.comparison.scores import Matrix, RegimeScores
from tracekd.comparison.store import Store
from tracekd.errors import TracekdError
from tracekd.probing.verdicts import judge_probes
from tracekd.report.contents import dataset_of
from tracekd.statistics.values import Tree, Undefined

#: Of the others, which questions are asked depends on what is right in a student's own trace.
COMPARED = ("gold", "incorrect", "shuffled", "empty", "own")


def probed(group: Iterable[Experiment], store: Store, key: str, margin: float) -> Tree | Undefined:
    """Return what the trace given does to the answers of a regime; empty without probes.

    `group` are the experiments of one regime in one cell; for `key` and `margin` see `effect`.

    Returns:
        `by_probe`: probe -> the accuracy given that trace, as `estimate` has it, with the number
        `n` of questions that every student was asked with it. `effect`: what an incorrect trace in
        place of the correct one changes. Undefined if a table is not on this machine.
    """
    asked = [one for one in group if one.run.params.get("probes.enabled")]
    try:
        verdicts = {one.run.replicate: _verdicts(one, store) for one in asked}
    except TracekdError as error:
        return Undefined(str(error))
    if not verdicts:
        return {}
    single = {probe: _matrices(verdicts.values(), [probe])[0] for probe in COMPARED}
    both = _matrices(verdicts.values(), ["gold", "incorrect"])
    gold, incorrect = (RegimeScores(tuple(verdicts), {"answer": matrix}) for matrix in both)
    return {
        "by_probe": {
            probe: {"n": matrix.shape[1], **estimate(matrix, f"{key}/{probe}")}
            for probe, matrix in single.items()
            if matrix.size
        },
        "effect": effect(gold, incorrect, f"{key}/incorrect", margin)
        if both[0].size
        else Undefined("no question was asked with both traces"),
    }


def _verdicts(one: Experiment, store: Store) -> pl.DataFrame:
    """Return a row for each probed question, and in columns its verdicts; null was not run."""
    judged = judge_probes(
        store.table(one, PROBES, records.PROBES),
        store.table(one, PREDICTIONS, records.PREDICTIONS).filter(sample=0),
        store.table(one, QUESTIONS, records.DECOMPOSED),
        dataset_of(one.run.params),
    )
    return judged.pivot("probe", index="id", values="correct")


def _matrices(verdicts: Iterable[pl.DataFrame], probes: list[str]) -> list[Matrix]:
    """Return (seeds, questions) for each probe, of the questions asked with all of them."""
    known = [table.select("id", *probes).drop_nulls().sort("id") for table in verdicts]
    shared = set.intersection(*(set(table["id"]) for table in known))
    rows = [table.filter(pl.col("id").is_in(list(shared))) for table in known]
    return [
        np.stack([table[probe].cast(pl.Float64).to_numpy() for table in rows]) for probe in probes
    ]
