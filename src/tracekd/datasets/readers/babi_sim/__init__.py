"""Simulated small worlds: the question classes of eleven bAbI tasks, in our own words.

What happened, what is where and what is larger is drawn first; the answer, the supporting facts and
the sentences follow from it. The classes follow Weston et al. (2015), arXiv:1502.05698.
"""

import random
from pathlib import Path
from typing import Any

from tracekd.config import parse_settings
from tracekd.config.reading import read_yaml
from tracekd.datasets import Loaded, Wanted, simulation
from tracekd.datasets.readers.babi_sim import carrying, relations
from tracekd.datasets.readers.babi_sim.settings import BabiSimOptions, Inventory
from tracekd.errors import TracekdError, nearest

NAMES = Path(__file__).with_name("names.yaml")
#: What makes a story of each class.
MAKERS = {
    "single-supporting-fact": carrying.single_supporting_fact,
    "two-supporting-facts": carrying.two_supporting_facts,
    "two-arg-relations": relations.two_arg_relations,
    "counting": carrying.counting,
    "lists-sets": carrying.lists_sets,
    "conjunction": carrying.conjunction,
    "time-reasoning": relations.time_reasoning,
    "basic-deduction": relations.basic_deduction,
    "basic-induction": relations.basic_induction,
    "positional-reasoning": relations.positional_reasoning,
    "size-reasoning": relations.size_reasoning,
}


def simulate(options: dict[str, Any], wanted: Wanted) -> Loaded:
    """Return simulated questions, about the same number of each class.

    Raises:
        TracekdError: for unsuitable options, a null size, or too few different questions.
    """
    where = "datasets.yaml: options of the reader babi_sim"
    chosen = parse_settings(BabiSimOptions, options, where)
    classes = MAKERS if chosen.classes is None else chosen.classes
    for name in classes:
        if name not in MAKERS:
            raise TracekdError(f"{where}: classes: unknown {name!r}; {nearest(name, MAKERS)}")
    inventories = {
        side: parse_settings(Inventory, names, f"{NAMES}: {side}")
        for side, names in read_yaml(NAMES).items()
    }

    def make(kind: str, side: str, rng: random.Random) -> simulation.Story:
        return MAKERS[kind](rng, inventories[side], chosen)

    return simulation.simulate(
        "babi_sim", wanted, list(dict.fromkeys(classes)), make, unseen=chosen.unseen_test_names
    )
