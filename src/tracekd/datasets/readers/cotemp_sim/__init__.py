"""Simulated co-temporal questions: dated facts about invented people, worded as in CoTempQA.

The class (equal, overlap, during, mix), the answers and the facts they follow from are derived from
the dates by interval algebra. The form of the questions follows Su et al. (2024), arXiv:2406.09072.
"""

import random
from pathlib import Path
from typing import Any

from tracekd.config import parse_settings
from tracekd.config.reading import read_yaml
from tracekd.datasets import Loaded, Wanted, simulation
from tracekd.datasets.readers.cotemp_sim.options import CotempSimOptions, Wording
from tracekd.datasets.readers.cotemp_sim.questions import dated_facts

CLASSES = ("equal", "overlap", "during", "mix")
WORDING = Path(__file__).with_name("wording.yaml")


def simulate(options: dict[str, Any], wanted: Wanted) -> Loaded:
    """Return simulated questions, about the same number of each class.

    Raises:
        TracekdError: for unsuitable options, or a null size.
    """
    where = "datasets.yaml: options of the reader cotemp_sim"
    chosen = parse_settings(CotempSimOptions, options, where)
    wording = parse_settings(Wording, read_yaml(WORDING), str(WORDING))

    def make(kind: str, side: str, rng: random.Random) -> simulation.Story:
        return dated_facts(rng, kind, side, wording, chosen)

    return simulation.simulate("cotemp_sim", wanted, CLASSES, make, unseen=chosen.unseen_test_names)
