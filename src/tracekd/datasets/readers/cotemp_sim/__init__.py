"""Simulated co-temporal questions: dated facts about invented people, worded as in CoTempQA.

The class (equal, overlap, during, mix), the answers and the facts they follow from are derived
from the dates by interval algebra. Form of the questions after Su et al. (2024), arXiv:2406.09072.
"""

from functools import partial
from pathlib import Path
from typing import Any

from tracekd.config import parse_settings
from tracekd.datasets import Loaded, Wanted
from tracekd.datasets.readers.cotemp_sim.names import names
from tracekd.datasets.readers.cotemp_sim.options import Options
from tracekd.datasets.readers.cotemp_sim.questions import dated_facts
from tracekd.datasets.simulation import Teller, simulate

CLASSES = ("equal", "overlap", "during", "mix")


def read(folder: Path | None, options: dict[str, Any], wanted: Wanted) -> Loaded:  # noqa: ARG001
    """Return simulated questions, about the same number of each class.

    Args:
        folder: not read; nothing is downloaded either.
        options: see `Options`.
        wanted: sizes of the splits, both given.

    Raises:
        TracekdError: for options that do not fit, or a null size.
    """
    knobs = parse_settings(Options, options, "datasets.yaml: options of the reader cotemp_sim")

    def tellers(split: str) -> dict[str, Teller]:
        drawn = names(split, unseen_test_names=knobs.unseen_test_names)
        return {
            kind: partial(dated_facts, wanted=kind, names=drawn, options=knobs) for kind in CLASSES
        }

    return simulate("cotemp_sim", wanted, tellers, shared=not knobs.unseen_test_names)
