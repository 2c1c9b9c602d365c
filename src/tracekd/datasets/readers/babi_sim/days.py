"""Questions about the order of events told out of order (bAbI task 14)."""

import random
from itertools import pairwise

from tracekd.datasets.readers.babi_sim.inventory import Inventory
from tracekd.datasets.readers.babi_sim.options import Options
from tracekd.datasets.simulation import Story, arrange

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MOST_VISITS = 4

#: Person, number of the day, place.
Visit = tuple[str, int, str]


def time_reasoning(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Where was a person before going somewhere? At the place of the latest earlier day."""
    distractors = options.draw_distractors(rng, 2)
    asked, *others = rng.sample(names.people, 3)
    own = rng.randint(2, min(_MOST_VISITS, 2 + distractors))
    visits = _visits(rng, asked, own, names)
    for person in others:
        share = (2 + distractors - own + (person == others[0])) // 2
        visits += _visits(rng, person, share, names)
    context, told = arrange(rng, [(_sentence(rng, visit), visit) for visit in visits])
    by_day = sorted((visit for visit in told if visit[0] == asked), key=lambda visit: visit[1])
    before, after = rng.choice(list(pairwise(by_day)))
    question = f"Where was {asked} before the {after[2]}?"
    return Story(context, question, [before[2]], [told.index(after), told.index(before)])


def _visits(rng: random.Random, person: str, count: int, names: Inventory) -> list[Visit]:
    days = rng.sample(range(len(_DAYS)), count)
    places = rng.sample(names.places, count)
    return [(person, day, place) for day, place in zip(days, places, strict=True)]


def _sentence(rng: random.Random, visit: Visit) -> str:
    person, day, place = visit
    if rng.random() < 0.5:
        return f"On {_DAYS[day]} {person} went to the {place}."
    return f"{person} went to the {place} on {_DAYS[day]}."
