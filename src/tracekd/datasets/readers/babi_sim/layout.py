"""Questions about the relative positions of things (bAbI tasks 4 and 17).

Every statement places one new item directly beside one that is already on the grid. So the
statements form a tree, no two items share a cell, and exactly one chain of statements connects any
two items: the supporting facts.
"""

import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

from tracekd.datasets.readers.babi_sim.settings import BabiSimOptions, Inventory
from tracekd.datasets.simulation import Story, arrange

Cell = tuple[int, int]

_COMPASS = {"north": (0, 1), "south": (0, -1), "east": (1, 0), "west": (-1, 0)}
_SIDES = {"above": (0, 1), "below": (0, -1), "to the right of": (1, 0), "to the left of": (-1, 0)}
_OPPOSITE = {
    word: opposite
    for words in (_COMPASS, _SIDES)
    for word, (x, y) in words.items()
    for opposite, step in words.items()
    if step == (-x, -y)
}


class Link(NamedTuple):
    """`item` lies directly in `direction` of `anchor`."""

    item: str
    direction: str
    anchor: str


def two_arg_relations(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Which room lies in a direction of another? One statement gives it, possibly reversed."""
    count = 1 + options.draw_distractors(rng, 1)
    rooms = rng.sample(names.places, count + 1)
    _, links = _lay_out(rng, rooms, _COMPASS, lambda placed: rng.randrange(placed))
    context, links = arrange(rng, [(_sentence(rng, link, " of"), link) for link in links])
    asked = rng.randrange(count)
    item, direction, anchor = _maybe_reversed(rng, links[asked])
    if rng.random() < 0.5:
        return Story(context, f"What lies directly {direction} of the {anchor}?", [item], [asked])
    return Story(context, f"What does the {item} lie directly {direction} of?", [anchor], [asked])


def positional_reasoning(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Is one piece on a given side of another? A chain of statements connects the two."""
    hops = rng.randint(*options.hops)
    count = hops + options.draw_distractors(rng, hops)
    pieces = [f"{tint} {shape}" for tint in names.tints for shape in names.shapes]
    chosen = rng.sample(pieces, count + 1)

    def anchor(placed: int) -> int:
        return placed - 1 if placed <= hops else rng.randrange(placed)

    cells, links = _lay_out(rng, chosen, _SIDES, anchor)
    context, arranged = arrange(rng, [(_sentence(rng, link, ""), link) for link in links])
    gold = [arranged.index(link) for link in links[:hops]]
    one, other = chosen[0], chosen[hops]
    if rng.random() < 0.5:
        one, other, gold = other, one, gold[::-1]
    answer = rng.choice(("yes", "no"))
    (x, y), (other_x, other_y) = cells[one], cells[other]
    sides = [
        side
        for side, (step_x, step_y) in _SIDES.items()
        if ((x - other_x) * step_x + (y - other_y) * step_y > 0) == (answer == "yes")
    ]
    return Story(context, f"Is the {one} {rng.choice(sides)} the {other}?", [answer], gold)


def _lay_out(
    rng: random.Random,
    items: Sequence[str],
    directions: dict[str, Cell],
    anchor: Callable[[int], int],
) -> tuple[dict[str, Cell], list[Link]]:
    """Place items on the grid one by one; `anchor` decides beside which earlier one each goes."""
    cells: dict[str, Cell] = {items[0]: (0, 0)}
    links: list[Link] = []
    while len(cells) < len(items):
        item, beside = items[len(cells)], items[anchor(len(cells))]
        direction = rng.choice(list(directions))
        (x, y), (step_x, step_y) = cells[beside], directions[direction]
        cell = (x + step_x, y + step_y)
        if cell not in cells.values():
            cells[item] = cell
            links.append(Link(item, direction, beside))
    return cells, links


def _maybe_reversed(rng: random.Random, link: Link) -> Link:
    if rng.random() < 0.5:
        return link
    return Link(link.anchor, _OPPOSITE[link.direction], link.item)


def _sentence(rng: random.Random, link: Link, preposition: str) -> str:
    item, direction, anchor = _maybe_reversed(rng, link)
    return f"The {item} lies directly {direction}{preposition} the {anchor}."
