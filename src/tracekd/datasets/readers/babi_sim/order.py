"""Questions about what came before or is larger (bAbI tasks 14 and 18)."""

import random
from itertools import pairwise

from tracekd.datasets.readers.babi_sim.settings import BabiSimOptions, Inventory
from tracekd.datasets.simulation import Story, arrange

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

#: Person, number of the day, place.
Visit = tuple[str, int, str]
#: The smaller and the larger container.
Comparison = tuple[str, str]


def time_reasoning(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where was a person before going somewhere? At the place of the latest earlier day."""
    distractors = options.draw_distractors(rng, 2)
    asked, *others = rng.sample(names.people, 3)
    count = rng.randint(2, min(4, 2 + distractors))
    visits = _visits(rng, asked, count, names)
    for person in others:
        share = (2 + distractors - count + (person == others[0])) // 2
        visits += _visits(rng, person, share, names)
    context, visits = arrange(rng, [(_visit_sentence(rng, visit), visit) for visit in visits])
    by_day = sorted((visit for visit in visits if visit[0] == asked), key=lambda visit: visit[1])
    before, after = rng.choice(list(pairwise(by_day)))
    question = f"Where was {asked} before the {after[2]}?"
    return Story(context, question, [before[2]], [visits.index(after), visits.index(before)])


def size_reasoning(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Does one container fit inside another?

    A chain of containers grows in size from link to link; every further container is compared with
    one container only. So the one way to compare the ends of the chain is along the chain.
    """
    hops = rng.randint(*options.hops)
    count = hops + options.draw_distractors(rng, hops)
    boxes = rng.sample(names.containers, count + 1)
    pairs = [_compare(rng, boxes, rank, hops) for rank in range(1, count + 1)]
    context, pairs = arrange(rng, [(_size_sentence(rng, pair), pair) for pair in pairs])
    one, other = boxes[0], boxes[hops]
    if rng.random() < 0.5:
        one, other = other, one
    growing = _chain(pairs, one, other)
    gold = growing or _chain(pairs, other, one)[::-1]
    if rng.random() < 0.5:
        question, answer = f"Does the {one} fit inside the {other}?", bool(growing)
    else:
        question, answer = f"Is the {one} larger than the {other}?", not growing
    return Story(context, question, ["yes" if answer else "no"], gold)


def _visits(rng: random.Random, person: str, count: int, names: Inventory) -> list[Visit]:
    days = rng.sample(range(len(_DAYS)), count)
    places = rng.sample(names.places, count)
    return [(person, day, place) for day, place in zip(days, places, strict=True)]


def _visit_sentence(rng: random.Random, visit: Visit) -> str:
    person, day, place = visit
    if rng.random() < 0.5:
        return f"On {_DAYS[day]} {person} went to the {place}."
    return f"{person} went to the {place} on {_DAYS[day]}."


def _compare(rng: random.Random, boxes: list[str], rank: int, hops: int) -> Comparison:
    if rank <= hops:
        return boxes[rank - 1], boxes[rank]
    known = boxes[rng.randrange(rank)]
    return (known, boxes[rank]) if rng.random() < 0.5 else (boxes[rank], known)


def _size_sentence(rng: random.Random, pair: Comparison) -> str:
    smaller, larger = pair
    if rng.random() < 0.5:
        return f"The {smaller} fits inside the {larger}."
    return f"The {larger} is larger than the {smaller}."


def _chain(pairs: list[Comparison], smaller: str, larger: str) -> list[int]:
    """Return the statements that lead from a smaller to a larger container, or none."""
    for index, (small, large) in enumerate(pairs):
        if small == smaller:
            if large == larger:
                return [index]
            if rest := _chain(pairs, large, larger):
                return [index, *rest]
    return []
