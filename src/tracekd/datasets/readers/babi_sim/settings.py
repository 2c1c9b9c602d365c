"""What the small worlds are made from: options in datasets.yaml, and one inventory for each split.

The inventories have no name in common, so a student can answer a test question only by reading it.
Words for relations (verbs, directions, days, numbers) are the same in both.
"""

import random
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, field_validator

from tracekd.config import Settings

_Pair = Field(min_length=2, max_length=2)
#: The inventories have enough names for stories of twelve statements.
_Length = Annotated[int, Field(ge=1, le=12)]
_Count = Annotated[int, Field(ge=0, le=12)]


class BabiSimOptions(Settings):
    """How hard the questions are. Each pair is a minimum and a maximum, drawn uniformly per story.

    Attributes:
        statements: length of a story. Supporting facts are never cut to fit it.
        distractors: statements of a story that the answer does not need; `statements` wins where
            the two conflict.
        hops: links in the chains of positional and size reasoning.
        unseen_test_names: whether no training story has the people, places and things of the test
            split.
    """

    statements: Annotated[list[_Length], _Pair] = Field(default=[4, 8])
    distractors: Annotated[list[_Count], _Pair] = Field(default=[2, 6])
    hops: Annotated[list[Annotated[int, Field(ge=2, le=4)]], _Pair] = Field(default=[2, 2])
    unseen_test_names: bool = True

    @field_validator("statements", "distractors", "hops")
    @classmethod
    def _is_ordered(cls, span: list[int]) -> list[int]:
        if span[0] > span[1]:
            raise ValueError("must be [minimum, maximum]")
        return span

    def draw_distractors(self, rng: random.Random, gold: int) -> int:
        """Return how many distractors a story with `gold` supporting facts gets."""
        least, most = (max(0, length - gold) for length in self.statements)
        low, high = (min(max(number, least), most) for number in self.distractors)
        return rng.randint(low, high)


@dataclass(frozen=True)
class Inventory:
    """What a story may be about.

    Attributes:
        places: where people go; also the rooms of a map.
        animals: kinds of animal, singular and plural.
        pets: names of single animals.
        coats: colors of animals.
        shapes: pieces on a board, each distinguished by one of `tints`.
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


_words = str.split


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
