"""Questions about animals and their kinds: deduction and induction (bAbI tasks 15 and 16)."""

import random

from tracekd.datasets.readers.babi_sim.inventory import Inventory
from tracekd.datasets.readers.babi_sim.options import Options
from tracekd.datasets.simulation import Story, arrange

#: A predicate, its subject and its value: ("kind", "Pepper", "fox"), ("fear", "fox", "bear").
Belief = tuple[str, str, str]


def basic_deduction(rng: random.Random, names: Inventory, options: Options) -> Story:
    """What is an animal afraid of? What its kind is afraid of."""
    distractors = options.draw_distractors(rng, 2)
    # A kind is told of once at most, else the answer would not be unique.
    more_kinds = min(rng.randint(distractors // 2, distractors), len(names.animals) - 1)
    plural = dict(names.animals)
    kinds = rng.sample(list(plural), 1 + more_kinds)
    pets = rng.sample(names.pets, 1 + distractors - more_kinds)
    told = [_fear(rng, kind, plural) for kind in kinds]
    told.append(_kind(pets[0], kinds[0]))
    told += [_kind(pet, rng.choice(list(plural))) for pet in pets[1:]]
    context, beliefs = arrange(rng, told)
    kind, because_kind = _recall(beliefs, "kind", pets[0])
    feared, because_feared = _recall(beliefs, "fear", kind)
    return Story(context, f"What is {pets[0]} wary of?", [feared], [because_kind, because_feared])


def basic_induction(rng: random.Random, names: Inventory, options: Options) -> Story:
    """What color is an animal? The color of the other animal of its kind."""
    distractors = options.draw_distractors(rng, 3)
    kinds = rng.sample([singular for singular, _ in names.animals], 1 + (distractors + 1) // 2)
    asked, *pets = rng.sample(names.pets, 1 + len(kinds))
    told = [_kind(asked, kinds[0])]
    for pet, kind in zip(pets, kinds, strict=True):
        told += [_kind(pet, kind), _color(pet, rng.choice(names.coats))]
    # An odd number of distractors leaves the last animal without a color.
    context, beliefs = arrange(rng, told[: 3 + distractors])
    kind, because_kind = _recall(beliefs, "kind", asked)
    twin, because_twin = _other_of_kind(beliefs, kind, asked)
    color, because_color = _recall(beliefs, "color", twin)
    because = [because_kind, because_twin, because_color]
    return Story(context, f"What color is {asked}?", [color], because)


def _fear(rng: random.Random, kind: str, plural: dict[str, str]) -> tuple[str, Belief]:
    feared = rng.choice([other for other in plural if other != kind])
    sentence = f"{plural[kind].capitalize()} are wary of {plural[feared]}."
    return sentence, ("fear", kind, feared)


def _kind(pet: str, kind: str) -> tuple[str, Belief]:
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{pet} is {article} {kind}.", ("kind", pet, kind)


def _color(pet: str, color: str) -> tuple[str, Belief]:
    return f"{pet} is {color}.", ("color", pet, color)


def _recall(beliefs: list[Belief], predicate: str, subject: str) -> tuple[str, int]:
    """Return the value of a predicate and the index of the one statement that says it."""
    return next(
        (value, index)
        for index, (known, about, value) in enumerate(beliefs)
        if (known, about) == (predicate, subject)
    )


def _other_of_kind(beliefs: list[Belief], kind: str, asked: str) -> tuple[str, int]:
    return next(
        (pet, index)
        for index, (predicate, pet, value) in enumerate(beliefs)
        if (predicate, value) == ("kind", kind) and pet != asked
    )
