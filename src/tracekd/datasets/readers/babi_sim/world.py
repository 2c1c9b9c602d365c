"""A world of people who move about and carry things, and why each thing in it is so.

Every event is one sentence. The world remembers, with whatever holds now, the indexes of the events
that caused it: these are the supporting facts of a question about it.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

_GO = ("walked to", "ran to", "headed to", "went to")
_TAKE = ("took", "grabbed", "lifted")
_DROP = ("put down", "let go of", "set aside")


@dataclass(frozen=True, slots=True)
class Move:
    """One or two people go to a place."""

    people: tuple[str, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Take:
    """A person takes a thing that nobody holds."""

    person: str
    thing: str


@dataclass(frozen=True, slots=True)
class Drop:
    """A person drops a thing in hand."""

    person: str
    thing: str


Event = Move | Take | Drop


@dataclass
class World:
    """What holds after the events so far.

    Attributes:
        events: all events in order; their positions are the indexes of facts.
        moved: for each person, the index of the last move.
        handled: for each thing, the index of the last Take or Drop.
        dropped_after: for each thing that lies somewhere, the index of the last move of the person
            who dropped it; absent if the thing is held or was dropped at an unknown place.
    """

    events: list[Event] = field(default_factory=list)
    moved: dict[str, int] = field(default_factory=dict)
    handled: dict[str, int] = field(default_factory=dict)
    dropped_after: dict[str, int] = field(default_factory=dict)

    def apply(self, event: Event) -> None:
        """Let one event happen."""
        index = len(self.events)
        self.events.append(event)
        match event:
            case Move(people, _):
                self.moved.update(dict.fromkeys(people, index))
            case Take(_, thing):
                self.handled[thing] = index
                self.dropped_after.pop(thing, None)
            case Drop(person, thing):
                self.handled[thing] = index
                if person in self.moved:
                    self.dropped_after[thing] = self.moved[person]

    def place_after(self, index: int) -> str:
        """Return where the move with that index led."""
        move = self.events[index]
        assert isinstance(move, Move)  # noqa: S101 - for the type checker
        return move.place

    def holder(self, thing: str) -> str | None:
        """Return who holds a thing."""
        event = self.events[self.handled[thing]] if thing in self.handled else None
        return event.person if isinstance(event, Take) else None

    def place_of_thing(self, thing: str) -> tuple[str, list[int]]:
        """Return where a thing is, which must be known, and the two events that say so.

        A thing that is held is where its holder went last; else where it was dropped.
        """
        holder = self.holder(thing)
        move = self.moved[holder] if holder else self.dropped_after[thing]
        return self.place_after(move), [self.handled[thing], move]

    def hands(self, person: str) -> tuple[list[str], list[int]]:
        """Return what a person carries, in the order of taking, and every Take and Drop of theirs.

        A drop undoes a take: both are needed to see that the thing is not in hand.
        """
        carried: list[str] = []
        gold = []
        for index, event in enumerate(self.events):
            if isinstance(event, Move) or event.person != person:
                continue
            gold.append(index)
            if isinstance(event, Take):
                carried.append(event.thing)
            else:
                carried.remove(event.thing)
        return carried, gold

    def sentences(self, rng: random.Random) -> list[str]:
        """Return one sentence for each event, with one of several verbs."""
        found = []
        for event in self.events:
            match event:
                case Move(people, place):
                    found.append(f"{' and '.join(people)} {rng.choice(_GO)} the {place}.")
                case Take(person, thing):
                    found.append(f"{person} {rng.choice(_TAKE)} the {thing}.")
                case Drop(person, thing):
                    found.append(f"{person} {rng.choice(_DROP)} the {thing}.")
        return found


def possible_moves(world: World, people: Sequence[str], places: Sequence[str]) -> list[Event]:
    """Return every move of one person to a place where that person is not known to be."""
    return [
        Move((person,), place)
        for person in people
        for place in places
        if person not in world.moved or world.place_after(world.moved[person]) != place
    ]


def possible_grips(world: World, people: Sequence[str], things: Sequence[str]) -> list[Event]:
    """Return every Take of a thing not touched before and every Drop of a thing in hand."""
    fresh = [thing for thing in things if thing not in world.handled]
    takes: list[Event] = [Take(person, thing) for person in people for thing in fresh]
    held = ((world.holder(thing), thing) for thing in things)
    return takes + [Drop(holder, thing) for holder, thing in held if holder and holder in people]


def run_world(
    rng: random.Random, planned: Sequence[Event], others: int, other: Callable[[World], Event]
) -> World:
    """Let the `planned` events happen in order, mixed with `others` events drawn from `other`."""
    world = World()
    turns = [True] * len(planned) + [False] * others
    rng.shuffle(turns)
    plan = iter(planned)
    for turn in turns:
        world.apply(next(plan) if turn else other(world))
    return world
