"""Questions about which container fits into which (bAbI task 18).

A chain of containers grows in size from link to link; every further container is compared with one
container only. So the one way to compare the ends of the chain is along the chain.
"""

import random

from tracekd.datasets.readers.babi_sim.inventory import Inventory
from tracekd.datasets.readers.babi_sim.options import Options
from tracekd.datasets.simulation import Story, arrange

#: The smaller and the larger container.
Comparison = tuple[str, str]


def size_reasoning(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Does one container fit inside another?"""
    hops = rng.randint(*options.hops)
    count = hops + options.draw_distractors(rng, hops)
    boxes = rng.sample(names.containers, count + 1)
    pairs = [_compare(rng, boxes, rank, hops) for rank in range(1, count + 1)]
    context, told = arrange(rng, [(_statement(rng, pair), pair) for pair in pairs])
    one, other = boxes[0], boxes[hops]
    if rng.random() < 0.5:
        one, other = other, one
    growing = _chain(told, one, other)
    because = growing or _chain(told, other, one)[::-1]
    if rng.random() < 0.5:
        question, answer = f"Does the {one} fit inside the {other}?", bool(growing)
    else:
        question, answer = f"Is the {one} larger than the {other}?", not growing
    return Story(context, question, ["yes" if answer else "no"], because)


def _compare(rng: random.Random, boxes: list[str], rank: int, hops: int) -> Comparison:
    if rank <= hops:
        return boxes[rank - 1], boxes[rank]
    known = boxes[rng.randrange(rank)]
    return (known, boxes[rank]) if rng.random() < 0.5 else (boxes[rank], known)


def _statement(rng: random.Random, pair: Comparison) -> str:
    smaller, larger = pair
    if rng.random() < 0.5:
        return f"The {smaller} fits inside the {larger}."
    return f"The {larger} is larger than the {smaller}."


def _chain(told: list[Comparison], smaller: str, larger: str) -> list[int]:
    """Return the statements that lead from a smaller to a larger container, or none."""
    for index, (small, large) in enumerate(told):
        if small == smaller:
            if large == larger:
                return [index]
            if rest := _chain(told, large, larger):
                return [index, *rest]
    return []
