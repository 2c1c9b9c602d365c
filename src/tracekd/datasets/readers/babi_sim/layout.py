"""Questions about the places of things relative to one another (bAbI tasks 4 and 17).

Every statement sets one new item directly beside one that already stands on the grid. So the
statements form a tree, no two items share a cell, and between any two items there is exactly one
chain of statements: the supporting facts.
"""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tracekd.datasets.readers.babi_sim.inventory import Inventory
from tracekd.datasets.readers.babi_sim.options import Options
from tracekd.datasets.simulation import Story, arrange

Cell = tuple[int, int]

_COMPASS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
_SIDES = {
    "above": (0, 1),
    "below": (0, -1),
    "to the right of": (1, 0),
    "to the left of": (-1, 0),
}
_OPPOSITE = {
    "north": "south",
    "south": "north",
    "east": "west",
    "west": "east",
    "above": "below",
    "below": "above",
    "to the right of": "to the left of",
    "to the left of": "to the right of",
}


@dataclass(frozen=True, slots=True)
class Link:
    """`item` lies directly in `direction` of `anchor`."""

    item: str
    direction: str
    anchor: str


def two_arg_relations(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Which room lies in a direction of another? One statement says so, maybe the other way."""
    count = 1 + options.draw_distractors(rng, 1)
    rooms = rng.sample(names.places, count + 1)
    _, links = _lay_out(rng, rooms, _COMPASS, lambda placed: rng.randrange(placed))
    context, told = arrange(rng, [(_directly(rng, link, "{} of"), link) for link in links])
    asked = rng.randrange(count)
    link = _either_way(rng, told[asked])
    if rng.random() < 0.5:
        question = f"What lies directly {link.direction} of the {link.anchor}?"
        return Story(context, question, [link.item], [asked])
    question = f"What does the {link.item} lie directly {link.direction} of?"
    return Story(context, question, [link.anchor], [asked])


def positional_reasoning(rng: random.Random, names: Inventory, options: Options) -> Story:
    """Is one piece on a given side of another? A chain of statements joins the two."""
    hops = rng.randint(*options.hops)
    count = hops + options.draw_distractors(rng, hops)
    pieces = [f"{tint} {shape}" for tint in names.tints for shape in names.shapes]
    chosen = rng.sample(pieces, count + 1)

    def anchor(placed: int) -> int:
        return placed - 1 if placed <= hops else rng.randrange(placed)

    cells, links = _lay_out(rng, chosen, _SIDES, anchor)
    context, told = arrange(rng, [(_directly(rng, link, "{}"), link) for link in links])
    because = [told.index(link) for link in links[:hops]]
    one, other = chosen[0], chosen[hops]
    if rng.random() < 0.5:
        one, other, because = other, one, because[::-1]
    answer = rng.choice(("yes", "no"))
    sides = [
        side for side in _SIDES if _stands(cells[one], side, cells[other]) == (answer == "yes")
    ]
    return Story(context, f"Is the {one} {rng.choice(sides)} the {other}?", [answer], because)


def _stands(cell: Cell, side: str, other: Cell) -> bool:
    step_x, step_y = _SIDES[side]
    return (cell[0] - other[0]) * step_x + (cell[1] - other[1]) * step_y > 0


def _lay_out(
    rng: random.Random,
    items: Sequence[str],
    directions: dict[str, Cell],
    anchor: Callable[[int], int],
) -> tuple[dict[str, Cell], list[Link]]:
    """Set items on the grid one by one; `anchor` says beside which earlier one each is to stand."""
    cells: dict[str, Cell] = {items[0]: (0, 0)}
    links: list[Link] = []
    while len(cells) < len(items):
        item, beside = items[len(cells)], items[anchor(len(cells))]
        x, y = cells[beside]
        direction = rng.choice(list(directions))
        step_x, step_y = directions[direction]
        cell = (x + step_x, y + step_y)
        if cell not in cells.values():
            cells[item] = cell
            links.append(Link(item, direction, beside))
    return cells, links


def _either_way(rng: random.Random, link: Link) -> Link:
    if rng.random() < 0.5:
        return link
    return Link(link.anchor, _OPPOSITE[link.direction], link.item)


def _directly(rng: random.Random, link: Link, phrase: str) -> str:
    told = _either_way(rng, link)
    side = phrase.format(told.direction)
    return f"The {told.item} lies directly {side} the {told.anchor}."
