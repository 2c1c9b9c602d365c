"""What the page over many experiments shows, from DVC's cache."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tracekd import records
from tracekd.comparison.effects import BASELINES
from tracekd.comparison.experiments import Experiment, choose, collect, find_experiment
from tracekd.comparison.locks import CARD, DETAILS, PREDICTIONS, PROBES, QUESTIONS, SCORES
from tracekd.comparison.results import compare
from tracekd.comparison.store import Store, find_store
from tracekd.errors import TracekdError
from tracekd.files import read_json
from tracekd.report.contents import Contents, losses_of


def contents_of(one: Experiment, store: Store) -> Contents:
    """Return what a page shows of an experiment; raises if part of it is not on this machine."""
    return Contents(
        name=one.name,
        params=one.run.params,
        details=read_json(store.file(one, DETAILS)),
        card=read_json(store.file(one, CARD)),
        losses=losses_of(store.folder(one, "plots/train")),
        questions=store.table(one, QUESTIONS, records.DECOMPOSED),
        scores=store.table(one, SCORES, records.SCORES, extra=True),
        predictions=store.table(one, PREDICTIONS, records.PREDICTIONS).filter(sample=0),
        probes=store.table(one, PROBES, records.PROBES),
    )


def gather(root: Path, names: Sequence[str]) -> tuple[list[Contents], dict[str, Any]]:
    """Return the contents of experiments, and their comparison with every pair; see `compare`.

    Without names these are all experiments that compare.py uses; those of which a part is not on
    this machine are among the `rejected` ones, with the reason. A named one must be complete.
    """
    store, found = find_store(root), collect(root)
    chosen = [find_experiment(root, name) for name in dict.fromkeys(names)]
    contents = [contents_of(one, store) for one in chosen]
    every = chosen or choose(found.experiments)
    compared, undefined = compare(store, found, every, BASELINES, every_pair=True)
    if not names:
        regimes = [one for cell in compared["results"].values() for one in cell["regimes"].values()]
        used = {name for regime in regimes for name in regime["experiments"].values()}
        for one in every:
            try:
                contents += [contents_of(one, store)] if one.name in used else []
            except TracekdError as error:
                reason = str(error).removeprefix(f"experiment {one.name}: ")
                compared["experiments"]["rejected"][one.name] = reason
    return contents, {**compared, "undefined": undefined}
