"""Questions about where people and things are and who carries what (bAbI tasks 1, 2, 7, 8, 12).

A story is a list of events, one sentence each. What holds, and the events that caused it, which are
the supporting facts, is read off the list.
"""

import random
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from tracekd.datasets.readers.babi_sim.settings import BabiSimOptions, Inventory
from tracekd.datasets.simulation import Story

_VERBS = {
    "go": ("walked to", "ran to", "headed to", "went to"),
    "take": ("took", "grabbed", "lifted"),
    "drop": ("put down", "let go of", "set aside"),
}
#: How many things the person in question still holds, and how many were dropped again.
_HANDFULS = ((0, 1), (1, 0), (1, 1), (2, 0), (2, 1), (3, 0))


class Event(NamedTuple):
    """One or two people go to a place; one person takes a thing that nobody holds or drops it."""

    verb: Literal["go", "take", "drop"]
    people: tuple[str, ...]
    object: str


Events = list[Event]


def single_supporting_fact(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where is a person? The last move decides."""
    people, places = rng.sample(names.people, 4), rng.sample(names.places, 6)
    length = 1 + options.draw_distractors(rng, 1)
    return _whereabouts(
        rng, _run(rng, [], length, lambda past: rng.choice(_moves(past, people, places)))
    )


def conjunction(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where is a person? People move in pairs."""
    people, places = rng.sample(names.people, 6), rng.sample(names.places, 6)

    def move(_: Events) -> Event:
        return Event("go", tuple(rng.sample(people, 2)), rng.choice(places))

    return _whereabouts(rng, _run(rng, [], 1 + options.draw_distractors(rng, 1), move))


def _whereabouts(rng: random.Random, events: Events) -> Story:
    person, move = rng.choice(list(_last_moves(events).items()))
    return Story(_sentences(rng, events), f"Where is {person}?", [events[move].object], [move])


def two_supporting_facts(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where is a thing? Who has or dropped it, and where that person went."""
    people, places = rng.sample(names.people, 4), rng.sample(names.places, 6)
    asked, *things = rng.sample(names.things, 3)
    carrier = rng.choice(people)
    planned = [Event("take", (carrier,), asked), Event("go", (carrier,), rng.choice(places))]
    if rng.random() < 0.5:
        planned.reverse()
    distractors = options.draw_distractors(rng, 2)
    if distractors and rng.random() < 0.3:
        # Then the answer does not need the take.
        planned.append(Event("drop", (carrier,), asked))

    def other(past: Events) -> Event:
        if rng.random() < 0.8:
            return rng.choice(_moves(past, people, places))
        bystanders = [person for person in people if person != carrier]
        return rng.choice(_grips(past, bystanders, things) or _moves(past, people, places))

    events = _run(rng, planned, 2 + distractors - len(planned), other)
    grip = _last_grips(events)[asked]
    # A thing in hand is where its holder went last, another where its last holder was.
    until = grip if events[grip].verb == "drop" else len(events)
    move = _last_moves(events[:until])[carrier]
    return Story(
        _sentences(rng, events), f"Where is the {asked}?", [events[move].object], [grip, move]
    )


def counting(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """How many things does a person carry?"""
    person, events = _handle_things(rng, names, options, (0, 1, 2, 3))
    carried, gold = _hands(events, person)
    answer = ("none", "one", "two", "three")[len(carried)]
    return Story(_sentences(rng, events), f"How many things does {person} hold?", [answer], gold)


def lists_sets(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Which things does a person carry?"""
    person, events = _handle_things(rng, names, options, (0, 1, 1, 1, 2, 2, 2, 3))
    carried, gold = _hands(events, person)
    question = f"Which things does {person} hold?"
    return Story(_sentences(rng, events), question, carried or ["nothing"], gold)


def _handle_things(
    rng: random.Random, names: Inventory, options: BabiSimOptions, counts: tuple[int, ...]
) -> tuple[str, Events]:
    """Return a person, and events after which they hold one of `counts` things."""
    kept = rng.choice(counts)
    person, *others = rng.sample(names.people, 3)
    things, places = rng.sample(names.things, 6), rng.sample(names.places, 4)
    dropped = rng.choice([undone for held, undone in _HANDFULS if held == kept])
    # A dropped thing occurs twice: it is first taken, then dropped.
    order = things[: kept + dropped] + things[kept : kept + dropped]
    rng.shuffle(order)
    planned = [
        Event("drop" if thing in order[:position] else "take", (person,), thing)
        for position, thing in enumerate(order)
    ]
    free = things[kept + dropped :]

    def other(past: Events) -> Event:
        grips = _grips(past, others, free) if rng.random() < 0.6 else []
        return rng.choice(grips or _moves(past, [person, *others], places))

    return person, _run(rng, planned, options.draw_distractors(rng, len(planned)), other)


def _run(
    rng: random.Random, planned: Sequence[Event], others: int, other: Callable[[Events], Event]
) -> Events:
    """Let the `planned` events happen in order, mixed with `others` events drawn from `other`."""
    events: Events = []
    turns = [True] * len(planned) + [False] * others
    rng.shuffle(turns)
    plan = iter(planned)
    for turn in turns:
        events.append(next(plan) if turn else other(events))
    return events


def _sentences(rng: random.Random, events: Events) -> list[str]:
    return [
        f"{' and '.join(people)} {rng.choice(_VERBS[verb])} the {name}."
        for verb, people, name in events
    ]


def _last_moves(events: Events) -> dict[str, int]:
    """Return the index of each person's last move."""
    return {
        person: index
        for index, event in enumerate(events)
        if event.verb == "go"
        for person in event.people
    }


def _last_grips(events: Events) -> dict[str, int]:
    """Return the index of the last event in which each thing was taken or dropped."""
    return {event.object: index for index, event in enumerate(events) if event.verb != "go"}


def _hands(events: Events, person: str) -> tuple[list[str], list[int]]:
    """Return what a person carries, in the order of taking, and all that they took or dropped.

    A drop undoes a take: both are needed to see that the thing is not in hand.
    """
    carried: list[str] = []
    gold = []
    for index, event in enumerate(events):
        if event.verb != "go" and person in event.people:
            gold.append(index)
            (carried.append if event.verb == "take" else carried.remove)(event.object)
    return carried, gold


def _moves(events: Events, people: Sequence[str], places: Sequence[str]) -> list[Event]:
    """Return every move of one person to a place where that person is not known to be."""
    known = {(person, events[move].object) for person, move in _last_moves(events).items()}
    moves = ((person, place) for person in people for place in places)
    return [Event("go", (who,), place) for who, place in moves if (who, place) not in known]


def _grips(events: Events, people: Sequence[str], things: Sequence[str]) -> list[Event]:
    """Return every take of a thing not touched before and every drop of a thing in hand."""
    last = {thing: events[grip] for thing, grip in _last_grips(events).items()}
    fresh = [thing for thing in things if thing not in last]
    takes = [Event("take", (person,), thing) for person in people for thing in fresh]
    held = [last[thing] for thing in things if thing in last and last[thing].verb == "take"]
    return takes + [event._replace(verb="drop") for event in held if event.people[0] in people]
