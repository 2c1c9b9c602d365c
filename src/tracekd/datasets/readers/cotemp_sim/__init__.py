"""Simulated co-temporal questions: dated facts about invented people, worded as in CoTempQA.

The class (equal, overlap, during, mix), the answers and the facts they follow from are derived from
the dates by interval algebra. The form of the questions follows Su et al. (2024), arXiv:2406.09072.
"""

from functools import partial
from typing import Any

from tracekd.config import parse_settings
from tracekd.datasets import Loaded, Wanted, simulation
from tracekd.datasets.readers.cotemp_sim.options import CotempSimOptions
from tracekd.datasets.readers.cotemp_sim.questions import dated_facts
from tracekd.datasets.readers.cotemp_sim.wording import TEST, TRAIN
from tracekd.datasets.simulation import Maker

CLASSES = ("equal", "overlap", "during", "mix")


def simulate(options: dict[str, Any], wanted: Wanted) -> Loaded:
    """Return simulated questions, about the same number of each class.

    Args:
        options: see `CotempSimOptions`.
        wanted: sizes of the splits, both given.

    Raises:
        TracekdError: for unsuitable options, or a null size.
    """
    where = "datasets.yaml: options of the reader cotemp_sim"
    chosen = parse_settings(CotempSimOptions, options, where)

    def makers(split: str) -> dict[str, Maker]:
        names = TEST if split == "test" and chosen.unseen_test_names else TRAIN
        return {
            kind: partial(dated_facts, wanted=kind, names=names, options=chosen) for kind in CLASSES
        }

    return simulation.simulate("cotemp_sim", wanted, makers, shared=not chosen.unseen_test_names)
