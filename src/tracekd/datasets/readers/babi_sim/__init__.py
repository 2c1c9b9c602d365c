"""Simulated small worlds: the question classes of eleven bAbI tasks, in our own words.

A model of the world (what happened, what is where, what is larger) yields the answer and the
supporting facts; sentences are made from it last. The classes follow Weston et al. (2015),
arXiv:1502.05698.
"""

from functools import partial
from typing import Any

from tracekd.config import parse_settings
from tracekd.datasets import Loaded, Wanted, simulation
from tracekd.datasets.readers.babi_sim.animals import basic_deduction, basic_induction
from tracekd.datasets.readers.babi_sim.carrying import (
    conjunction,
    counting,
    lists_sets,
    single_supporting_fact,
    two_supporting_facts,
)
from tracekd.datasets.readers.babi_sim.layout import positional_reasoning, two_arg_relations
from tracekd.datasets.readers.babi_sim.order import size_reasoning, time_reasoning
from tracekd.datasets.readers.babi_sim.settings import TEST, TRAIN, BabiSimOptions
from tracekd.datasets.simulation import Maker

#: What makes a story of each class.
MAKERS = {
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


def simulate(options: dict[str, Any], wanted: Wanted) -> Loaded:
    """Return simulated questions, about the same number of each class.

    Args:
        options: see `BabiSimOptions`.
        wanted: sizes of the splits, both given.

    Raises:
        TracekdError: for unsuitable options, a null size, or too few different questions.
    """
    where = "datasets.yaml: options of the reader babi_sim"
    chosen = parse_settings(BabiSimOptions, options, where)

    def makers(split: str) -> dict[str, Maker]:
        names = TEST if split == "test" and chosen.unseen_test_names else TRAIN
        return {kind: partial(make, names=names, options=chosen) for kind, make in MAKERS.items()}

    return simulation.simulate("babi_sim", wanted, makers, shared=not chosen.unseen_test_names)
