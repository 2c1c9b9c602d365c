"""Simulated small worlds: the kinds of question of eleven bAbI tasks, told in our own words.

A model of the world (what happened, what lies where, what is larger) yields the answer and the
supporting facts; sentences are made from it last. Kinds of question follow Weston et al. (2015),
arXiv:1502.05698.
"""

import random
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from tracekd.config import parse_settings
from tracekd.datasets import Loaded, Wanted
from tracekd.datasets.readers.babi_sim.animals import basic_deduction, basic_induction
from tracekd.datasets.readers.babi_sim.carrying import (
    conjunction,
    counting,
    lists_sets,
    single_supporting_fact,
    two_supporting_facts,
)
from tracekd.datasets.readers.babi_sim.days import time_reasoning
from tracekd.datasets.readers.babi_sim.inventory import Inventory, inventory
from tracekd.datasets.readers.babi_sim.layout import positional_reasoning, two_arg_relations
from tracekd.datasets.readers.babi_sim.options import Options
from tracekd.datasets.readers.babi_sim.sizes import size_reasoning
from tracekd.datasets.simulation import Story, Teller, simulate


class Kind(Protocol):
    """Tells a story and asks one kind of question about it."""

    def __call__(self, rng: random.Random, names: Inventory, options: Options) -> Story:
        """Return a story that is a function of the generator's state."""


#: The class of a question and what tells a story for it.
KINDS: dict[str, Kind] = {
    "single-supporting-fact": single_supporting_fact,
    "two-supporting-facts": two_supporting_facts,
    "two-arg-relations": two_arg_relations,
    "counting": counting,
    "lists-sets": lists_sets,
    "conjunction": conjunction,
    "time-reasoning": time_reasoning,
    "basic-deduction": basic_deduction,
    "basic-induction": basic_induction,
    "positional-reasoning": positional_reasoning,
    "size-reasoning": size_reasoning,
}


def read(folder: Path | None, options: dict[str, Any], wanted: Wanted) -> Loaded:  # noqa: ARG001
    """Return simulated questions, about the same number of each kind.

    Args:
        folder: not read; nothing is downloaded either.
        options: see `Options`.
        wanted: sizes of the splits, both given.

    Raises:
        TracekdError: for options that do not fit, a null size, or too few different questions.
    """
    knobs = parse_settings(Options, options, "datasets.yaml: options of the reader babi_sim")

    def tellers(split: str) -> dict[str, Teller]:
        names = inventory(split, unseen_test_names=knobs.unseen_test_names)
        return {kind: partial(tell, names=names, options=knobs) for kind, tell in KINDS.items()}

    return simulate("babi_sim", wanted, tellers, shared=not knobs.unseen_test_names)
