"""The names of people and things in the small worlds: one inventory for each split.

The two have no name in common, so a student can answer a test question only by reading it. Words
for relations (verbs, directions, days, numbers) are the same in both.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Inventory:
    """What a story may be about.

    Attributes:
        people: who moves and carries.
        places: where they go; also the rooms of a map.
        things: what they carry.
        animals: kinds of animal, singular and plural.
        pets: names of single animals.
        coats: colors of animals.
        shapes: pieces on a board, each distinguished by one of `tints`.
        containers: what fits into one another.
    """

    people: list[str]
    places: list[str]
    things: list[str]
    animals: dict[str, str]
    pets: list[str]
    coats: list[str]
    shapes: list[str]
    tints: list[str]
    containers: list[str]


def _words(text: str) -> list[str]:
    return text.split()


def _plurals(text: str) -> dict[str, str]:
    words = text.split()
    return dict(zip(words[::2], words[1::2], strict=True))


TRAIN = Inventory(
    people=_words("Anna Boris Clara David Emma Felix Grace Henry Iris Jonas Laura Martin"),
    places=_words(
        "attic balcony basement cafe cellar chapel courtyard gallery lobby library market "
        "museum pantry stable terrace theater"
    ),
    things=_words("book candle coin hammer lamp letter map mirror orange ribbon spoon whistle"),
    animals=_plurals(
        "bear bears fox foxes goat goats hawk hawks horse horses otter otters rabbit "
        "rabbits snake snakes"
    ),
    pets=_words("Biscuit Clover Dusty Ginger Hazel Juniper Maple Nutmeg Pepper Rusty Sunny Toffee"),
    coats=_words("auburn black brown golden gray white"),
    shapes=_words("ball cone cube pyramid ring"),
    tints=_words("blue green pink red yellow"),
    containers=_words(
        "barrel basket box bucket chest crate drawer envelope jar pouch suitcase trunk wardrobe"
    ),
)

TEST = Inventory(
    people=_words("Oscar Paula Ralph Sonia Tomas Ursula Victor Wanda Xavier Yara Zoe Kevin"),
    places=_words(
        "arcade bakery barn chalet cottage harbor hotel kiosk laundry meadow nursery orchard "
        "porch school studio tower"
    ),
    things=_words("apple bell brush camera drum flute kettle needle pencil pillow scarf violin"),
    animals=_plurals(
        "badger badgers crow crows deer deer eagle eagles frog frogs lynx lynxes owl "
        "owls turtle turtles"
    ),
    pets=_words("Acorn Bramble Comet Domino Fern Indigo Lucky Mocha Olive Pebble Quartz Willow"),
    coats=_words("beige copper cream ivory silver tan"),
    shapes=_words("bar cylinder disk prism star"),
    tints=_words("amber crimson purple teal violet"),
    containers=_words(
        "bag bin bowl cabinet carton casket cooler hamper locker purse sack satchel tub"
    ),
)
