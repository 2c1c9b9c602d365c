"""Questions about kinds, places on a grid, days and sizes (bAbI tasks 4, 14 to 18)."""

import random
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from tracekd.datasets.readers.babi_sim.settings import BabiSimOptions, Inventory
from tracekd.datasets.simulation import Story

#: An item lies directly in a direction of an anchor.
Link = tuple[str, str, str]

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COMPASS = {"north of": (0, 1), "south of": (0, -1), "east of": (1, 0), "west of": (-1, 0)}
_SIDES = {"above": (0, 1), "below": (0, -1), "to the right of": (1, 0), "to the left of": (-1, 0)}
_WORDS = [*_COMPASS, *_SIDES]
#: Opposite directions are neighbours: 0 and 1, 2 and 3, ...
_OPPOSITE = {word: _WORDS[place ^ 1] for place, word in enumerate(_WORDS)}


def _shuffled(rng: random.Random, sentences: Sequence[str]) -> list[str]:
    context = list(sentences)
    rng.shuffle(context)
    return context


def _story(context: list[str], question: str, answer: str, gold: Sequence[str]) -> Story:
    """Return a story whose supporting facts are given as sentences, each of them unique."""
    return Story(context, question, [answer], [context.index(sentence) for sentence in gold])


def basic_deduction(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """What is an animal afraid of? What its kind is afraid of."""
    distractors = options.draw_distractors(rng, 2)
    # At most one fear per kind, or the answer would not be unique.
    more_kinds = min(rng.randint(distractors // 2, distractors), len(names.animals) - 1)
    kinds = rng.sample(list(names.animals), 1 + more_kinds)
    pets = rng.sample(names.pets, 1 + distractors - more_kinds)
    feared = [rng.choice([other for other in names.animals if other != kind]) for kind in kinds]
    sentences = [
        f"{names.animals[kind].capitalize()} are wary of {names.animals[other]}."
        for kind, other in zip(kinds, feared, strict=True)
    ]
    sentences.append(_is_a(pets[0], kinds[0]))
    sentences += [_is_a(pet, rng.choice(list(names.animals))) for pet in pets[1:]]
    gold = [sentences[len(kinds)], sentences[0]]
    question = f"What is {pets[0]} wary of?"
    return _story(_shuffled(rng, sentences), question, feared[0], gold)


def basic_induction(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """What color is an animal? The color of the other animal of its kind."""
    distractors = options.draw_distractors(rng, 3)
    kinds = rng.sample(list(names.animals), 1 + (distractors + 1) // 2)
    asked, *pets = rng.sample(names.pets, 1 + len(kinds))
    colors = [rng.choice(names.coats) for _ in pets]
    sentences = [_is_a(asked, kinds[0])]
    for pet, kind, color in zip(pets, kinds, colors, strict=True):
        sentences += [_is_a(pet, kind), f"{pet} is {color}."]
    # With an odd number of distractors the last animal has no color.
    context = _shuffled(rng, sentences[: 3 + distractors])
    return _story(context, f"What color is {asked}?", colors[0], sentences[:3])


def _is_a(pet: str, kind: str) -> str:
    return f"{pet} is {'an' if kind[0] in 'aeiou' else 'a'} {kind}."


def time_reasoning(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Where was a person before going somewhere? At the place of the latest earlier day."""
    distractors = options.draw_distractors(rng, 2)
    asked, *others = rng.sample(names.people, 3)
    count = rng.randint(2, min(4, 2 + distractors))
    visits = _visits(rng, asked, count, names)
    for person in others:
        share = (2 + distractors - count + (person == others[0])) // 2
        visits += _visits(rng, person, share, names)
    sentences = {visit: _visit_sentence(rng, *visit) for visit in visits}
    context = _shuffled(rng, list(sentences.values()))
    before, after = rng.choice(list(pairwise(sorted(visits[:count], key=lambda visit: visit[1]))))
    question = f"Where was {asked} before the {after[2]}?"
    return _story(context, question, before[2], [sentences[after], sentences[before]])


def _visits(
    rng: random.Random, person: str, count: int, names: Inventory
) -> list[tuple[str, int, str]]:
    """Return the person, the number of the day and the place of `count` visits."""
    days = rng.sample(range(len(_DAYS)), count)
    return [(person, *pair) for pair in zip(days, rng.sample(names.places, count), strict=True)]


def _visit_sentence(rng: random.Random, person: str, day: int, place: str) -> str:
    if rng.random() < 0.5:
        return f"On {_DAYS[day]} {person} went to the {place}."
    return f"{person} went to the {place} on {_DAYS[day]}."


def size_reasoning(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Does one container fit inside another?

    A chain of containers grows in size from link to link; every further container is compared with
    one container only. So the one way to compare the ends of the chain is along the chain.
    """
    hops = rng.randint(*options.hops)
    count = hops + options.draw_distractors(rng, hops)
    boxes = rng.sample(names.containers, count + 1)
    pairs = [_smaller_first(rng, boxes, rank, hops) for rank in range(1, count + 1)]
    sentences = [_size_sentence(rng, *pair) for pair in pairs]
    context = _shuffled(rng, sentences)
    growing = rng.random() >= 0.5
    ends, gold = [boxes[0], boxes[hops]], sentences[:hops]
    one, other = ends if growing else ends[::-1]
    if rng.random() < 0.5:
        question, answer = f"Does the {one} fit inside the {other}?", growing
    else:
        question, answer = f"Is the {one} larger than the {other}?", not growing
    return _story(context, question, "yes" if answer else "no", gold if growing else gold[::-1])


def _smaller_first(rng: random.Random, boxes: list[str], rank: int, hops: int) -> tuple[str, str]:
    if rank <= hops:
        return boxes[rank - 1], boxes[rank]
    known = boxes[rng.randrange(rank)]
    return (known, boxes[rank]) if rng.random() < 0.5 else (boxes[rank], known)


def _size_sentence(rng: random.Random, smaller: str, larger: str) -> str:
    if rng.random() < 0.5:
        return f"The {smaller} fits inside the {larger}."
    return f"The {larger} is larger than the {smaller}."


def two_arg_relations(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Which room lies in a direction of another? One statement gives it, possibly reversed."""
    count = 1 + options.draw_distractors(rng, 1)
    rooms = rng.sample(names.places, count + 1)
    _, links = _lay_out(rng, rooms, _COMPASS, rng.randrange)
    sentences = [_link_sentence(rng, link) for link in links]
    context = _shuffled(rng, sentences)
    gold = context[rng.randrange(count)]
    item, direction, anchor = _maybe_reversed(rng, links[sentences.index(gold)])
    if rng.random() < 0.5:
        return _story(context, f"What lies directly {direction} the {anchor}?", item, [gold])
    return _story(context, f"What does the {item} lie directly {direction}?", anchor, [gold])


def positional_reasoning(rng: random.Random, names: Inventory, options: BabiSimOptions) -> Story:
    """Is one piece on a given side of another? A chain of statements connects the two."""
    hops = rng.randint(*options.hops)
    count = hops + options.draw_distractors(rng, hops)
    pieces = [f"{tint} {shape}" for tint in names.tints for shape in names.shapes]
    chosen = rng.sample(pieces, count + 1)

    def anchor(placed: int) -> int:
        return placed - 1 if placed <= hops else rng.randrange(placed)

    cells, links = _lay_out(rng, chosen, _SIDES, anchor)
    sentences = [_link_sentence(rng, link) for link in links]
    context = _shuffled(rng, sentences)
    ends, gold = [chosen[0], chosen[hops]], sentences[:hops]
    if rng.random() < 0.5:
        ends, gold = ends[::-1], gold[::-1]
    answer = rng.choice(("yes", "no"))
    (x, y), (other_x, other_y) = (cells[piece] for piece in ends)
    sides = [
        side
        for side, (step_x, step_y) in _SIDES.items()
        if ((x - other_x) * step_x + (y - other_y) * step_y > 0) == (answer == "yes")
    ]
    question = f"Is the {ends[0]} {rng.choice(sides)} the {ends[1]}?"
    return _story(context, question, answer, gold)


def _lay_out(
    rng: random.Random,
    items: Sequence[str],
    directions: Mapping[str, tuple[int, int]],
    anchor: Callable[[int], int],
) -> tuple[dict[str, tuple[int, int]], list[Link]]:
    """Place items on the grid one by one; `anchor` decides beside which earlier one each goes.

    So the statements form a tree, no two items share a cell, and exactly one chain of statements
    connects any two items: the supporting facts.
    """
    cells = {items[0]: (0, 0)}
    links: list[Link] = []
    while len(cells) < len(items):
        item, beside = items[len(cells)], items[anchor(len(cells))]
        direction = rng.choice(list(directions))
        (x, y), (step_x, step_y) = cells[beside], directions[direction]
        cell = (x + step_x, y + step_y)
        if cell not in cells.values():
            cells[item] = cell
            links.append((item, direction, beside))
    return cells, links


def _maybe_reversed(rng: random.Random, link: Link) -> Link:
    item, direction, anchor = link
    return link if rng.random() < 0.5 else (anchor, _OPPOSITE[direction], item)


def _link_sentence(rng: random.Random, link: Link) -> str:
    item, direction, anchor = _maybe_reversed(rng, link)
    return f"The {item} lies directly {direction} the {anchor}."
