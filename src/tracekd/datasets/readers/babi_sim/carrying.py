"""Questions about where people and things are and who carries what (bAbI tasks 1, 2, 7, 8, 12)."""

import random
from collections.abc import Sequence

from tracekd.datasets.readers.babi_sim.inventory import Inventory
from tracekd.datasets.readers.babi_sim.options import Options
from tracekd.datasets.readers.babi_sim.world import (
    Drop,
    Event,
    Move,
    Take,
    World,
    live,
    possible_grips,
    possible_moves,
    tell,
)
from tracekd.datasets.simulation import Story

_NUMBERS = ("none", "one", "two", "three")
#: How many things the person asked about still holds, and how many were let go again.
_HANDFULS = ((0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0))


def single_supporting_fact(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Where is a person? The last move says so."""
    people, places = rng.sample(names.people, 4), rng.sample(names.places, 6)
    length = 1 + options.draw_distractors(rng, 1)
    world = live(rng, [], length, lambda now: rng.choice(possible_moves(now, people, places)))
    return _whereabouts(rng, world, rng.choice(list(world.moved)))


def conjunction(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Where is a person? People move in pairs."""
    people, places = rng.sample(names.people, 6), rng.sample(names.places, 6)

    def move(_: World) -> Event:
        return Move(tuple(rng.sample(people, 2)), rng.choice(places))

    world = live(rng, [], 1 + options.draw_distractors(rng, 1), move)
    return _whereabouts(rng, world, rng.choice(list(world.moved)))


def two_supporting_facts(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Where is a thing? Who has or dropped it, and where that person went."""
    people, places = rng.sample(names.people, 4), rng.sample(names.places, 6)
    asked, *things = rng.sample(names.things, 3)
    carrier = rng.choice(people)
    planned: list[Event] = [Take(carrier, asked), Move((carrier,), rng.choice(places))]
    if rng.random() < 0.5:
        planned.reverse()
    distractors = options.draw_distractors(rng, 2)
    if distractors and rng.random() < 0.3:
        # Then the answer can do without the take.
        planned.append(Drop(carrier, asked))

    def other(now: World) -> Event:
        if rng.random() < 0.8:
            return rng.choice(possible_moves(now, people, places))
        bystanders = [person for person in people if person != carrier]
        grips = possible_grips(now, bystanders, things)
        return rng.choice(grips or possible_moves(now, people, places))

    world = live(rng, planned, 2 + distractors - len(planned), other)
    found = world.place_of_thing(asked)
    assert found  # noqa: S101 - the plan has the carrier move before any drop
    place, because = found
    return Story(tell(rng, world), f"Where is the {asked}?", [place], because)


def counting(rng: random.Random, names: Inventory, options: Options) -> Story:
    """How many things does a person carry?"""
    kept = rng.choice((0, 1, 2, 3))
    person, world = _handle_things(rng, names, options, kept)
    carried, because = world.hands(person)
    question = f"How many things does {person} hold?"
    return Story(tell(rng, world), question, [_NUMBERS[len(carried)]], because)


def lists_sets(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Which things does a person carry?"""
    kept = rng.choice((0, 1, 1, 1, 2, 2, 2, 3))
    person, world = _handle_things(rng, names, options, kept)
    carried, because = world.hands(person)
    question = f"Which things does {person} hold?"
    return Story(tell(rng, world), question, carried or ["nothing"], because)


def _whereabouts(rng: random.Random, world: World, person: str) -> Story:
    found = world.place_of_person(person)
    assert found  # noqa: S101 - only people who moved are asked about
    place, because = found
    return Story(tell(rng, world), f"Where is {person}?", [place], because)


def _handle_things(
    rng: random.Random, names: Inventory, options: Options, kept: int
) -> tuple[str, World]:
    """Return a person and a world in which that person ends up holding `kept` things."""
    person, *others = rng.sample(names.people, 3)
    things, places = rng.sample(names.things, 6), rng.sample(names.places, 4)
    dropped = rng.choice([undone for held, undone in _HANDFULS if held == kept])
    planned = _grips(rng, person, things[:kept], things[kept : kept + dropped])
    free = things[kept + dropped :]

    def other(now: World) -> Event:
        grips = possible_grips(now, others, free) if rng.random() < 0.6 else []
        return rng.choice(grips or possible_moves(now, [person, *others], places))

    return person, live(rng, planned, options.draw_distractors(rng, len(planned)), other)


def _grips(
    rng: random.Random, person: str, kept: Sequence[str], dropped: Sequence[str]
) -> list[Event]:
    order = [*kept, *dropped, *dropped]
    rng.shuffle(order)
    return [
        Drop(person, thing) if thing in order[:position] else Take(person, thing)
        for position, thing in enumerate(order)
    ]
