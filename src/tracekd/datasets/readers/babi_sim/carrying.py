"""Questions about where people and things are and who carries what (bAbI tasks 1, 2, 7, 8, 12)."""

import random

from tracekd.datasets.readers.babi_sim.settings import BabiSimOptions, Inventory
from tracekd.datasets.readers.babi_sim.world import (
    Drop,
    Event,
    Move,
    Take,
    World,
    possible_grips,
    possible_moves,
    run_world,
)
from tracekd.datasets.simulation import Story

#: How many things the person in question still holds, and how many were dropped again.
_HANDFULS = ((0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0))


def single_supporting_fact(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where is a person? The last move decides."""
    people, places = rng.sample(names.people, 4), rng.sample(names.places, 6)
    length = 1 + options.draw_distractors(rng, 1)
    world = run_world(rng, [], length, lambda now: rng.choice(possible_moves(now, people, places)))
    return _whereabouts(rng, world)


def conjunction(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where is a person? People move in pairs."""
    people, places = rng.sample(names.people, 6), rng.sample(names.places, 6)

    def move(_: World) -> Event:
        return Move(tuple(rng.sample(people, 2)), rng.choice(places))

    return _whereabouts(rng, run_world(rng, [], 1 + options.draw_distractors(rng, 1), move))


def _whereabouts(rng: random.Random, world: World) -> Story:
    person, move = rng.choice(list(world.moved.items()))
    return Story(world.sentences(rng), f"Where is {person}?", [world.place_after(move)], [move])


def two_supporting_facts(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where is a thing? Who has or dropped it, and where that person went."""
    people, places = rng.sample(names.people, 4), rng.sample(names.places, 6)
    asked, *things = rng.sample(names.things, 3)
    carrier = rng.choice(people)
    planned: list[Event] = [Take(carrier, asked), Move((carrier,), rng.choice(places))]
    if rng.random() < 0.5:
        planned.reverse()
    distractors = options.draw_distractors(rng, 2)
    if distractors and rng.random() < 0.3:
        # Then the answer does not need the take.
        planned.append(Drop(carrier, asked))

    def other(now: World) -> Event:
        if rng.random() < 0.8:
            return rng.choice(possible_moves(now, people, places))
        bystanders = [person for person in people if person != carrier]
        grips = possible_grips(now, bystanders, things)
        return rng.choice(grips or possible_moves(now, people, places))

    world = run_world(rng, planned, 2 + distractors - len(planned), other)
    place, gold = world.place_of_thing(asked)
    return Story(world.sentences(rng), f"Where is the {asked}?", [place], gold)


def counting(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """How many things does a person carry?"""
    person, world = _handle_things(rng, names, options, (0, 1, 2, 3))
    carried, gold = world.hands(person)
    answer = ("none", "one", "two", "three")[len(carried)]
    return Story(world.sentences(rng), f"How many things does {person} hold?", [answer], gold)


def lists_sets(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Which things does a person carry?"""
    person, world = _handle_things(rng, names, options, (0, 1, 1, 1, 2, 2, 2, 3))
    carried, gold = world.hands(person)
    question = f"Which things does {person} hold?"
    return Story(world.sentences(rng), question, carried or ["nothing"], gold)


def _handle_things(
    rng: random.Random, names: Inventory, options: BabiSimOptions, counts: tuple[int, ...]
) -> tuple[str, World]:
    """Return a person, and a world in which they end up holding one of `counts` things."""
    kept = rng.choice(counts)
    person, *others = rng.sample(names.people, 3)
    things, places = rng.sample(names.things, 6), rng.sample(names.places, 4)
    dropped = rng.choice([undone for held, undone in _HANDFULS if held == kept])
    # A dropped thing occurs twice: first its Take, then its Drop.
    order = things[: kept + dropped] + things[kept : kept + dropped]
    rng.shuffle(order)
    planned: list[Event] = [
        Drop(person, thing) if thing in order[:position] else Take(person, thing)
        for position, thing in enumerate(order)
    ]
    free = things[kept + dropped :]

    def other(now: World) -> Event:
        grips = possible_grips(now, others, free) if rng.random() < 0.6 else []
        return rng.choice(grips or possible_moves(now, [person, *others], places))

    return person, run_world(rng, planned, options.draw_distractors(rng, len(planned)), other)
