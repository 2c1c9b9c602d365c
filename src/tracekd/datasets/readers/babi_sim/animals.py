"""Questions about animals and their kinds: deduction and induction (bAbI tasks 15 and 16)."""

import random

from tracekd.datasets.readers.babi_sim.settings import BabiSimOptions, Inventory
from tracekd.datasets.simulation import Story, arrange

#: A predicate, its subject and its value: ("kind", "Pepper", "fox"), ("fear", "fox", "bear").
Statement = tuple[str, str, str]


def basic_deduction(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """What is an animal afraid of? What its kind is afraid of."""
    distractors = options.draw_distractors(rng, 2)
    # At most one fear per kind, or the answer would not be unique.
    more_kinds = min(rng.randint(distractors // 2, distractors), len(names.animals) - 1)
    kinds = rng.sample(list(names.animals), 1 + more_kinds)
    pets = rng.sample(names.pets, 1 + distractors - more_kinds)
    items = [_fear(rng, kind, names.animals) for kind in kinds]
    items.append(_kind(pets[0], kinds[0]))
    items += [_kind(pet, rng.choice(list(names.animals))) for pet in pets[1:]]
    context, statements = arrange(rng, items)
    kind, first = _value(statements, "kind", pets[0])
    feared, second = _value(statements, "fear", kind)
    return Story(context, f"What is {pets[0]} wary of?", [feared], [first, second])


def basic_induction(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """What color is an animal? The color of the other animal of its kind."""
    distractors = options.draw_distractors(rng, 3)
    kinds = rng.sample(list(names.animals), 1 + (distractors + 1) // 2)
    asked, *pets = rng.sample(names.pets, 1 + len(kinds))
    items = [_kind(asked, kinds[0])]
    for pet, kind in zip(pets, kinds, strict=True):
        color = rng.choice(names.coats)
        items += [_kind(pet, kind), (f"{pet} is {color}.", ("color", pet, color))]
    # With an odd number of distractors the last animal has no color.
    context, statements = arrange(rng, items[: 3 + distractors])
    kind, first = _value(statements, "kind", asked)
    twin, second = next(
        (pet, index)
        for index, (predicate, pet, value) in enumerate(statements)
        if (predicate, value) == ("kind", kind) and pet != asked
    )
    color, third = _value(statements, "color", twin)
    return Story(context, f"What color is {asked}?", [color], [first, second, third])


def _fear(rng: random.Random, kind: str, plural: dict[str, str]) -> tuple[str, Statement]:
    feared = rng.choice([other for other in plural if other != kind])
    sentence = f"{plural[kind].capitalize()} are wary of {plural[feared]}."
    return sentence, ("fear", kind, feared)


def _kind(pet: str, kind: str) -> tuple[str, Statement]:
    article = "an" if kind[0] in "aeiou" else "a"
    return f"{pet} is {article} {kind}.", ("kind", pet, kind)


def _value(statements: list[Statement], predicate: str, subject: str) -> tuple[str, int]:
    """Return the value of a predicate and the index of the one statement that gives it."""
    return next(
        (value, index)
        for index, (known, about, value) in enumerate(statements)
        if (known, about) == (predicate, subject)
    )
