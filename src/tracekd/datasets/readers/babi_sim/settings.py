"""What the small worlds are made from: options in datasets.yaml, and the inventories of names."""

import random
from typing import Annotated

from pydantic import Field

from tracekd.config import Settings
from tracekd.datasets.simulation import span


class BabiSimOptions(Settings):
    """How hard the questions are. Each pair is a minimum and a maximum, drawn uniformly per story.

    Attributes:
        classes: of the questions; null for all eleven.
        statements: length of a story, up to what the inventories suffice for. Supporting facts are
            never cut to fit it.
        distractors: statements of a story that the answer does not need; `statements` wins where
            the two conflict.
        hops: links in the chains of positional and size reasoning.
        unseen_test_names: whether no training story has the people, places and things of the test
            split.
    """

    classes: Annotated[list[str], Field(min_length=1)] | None = None
    statements: Annotated[list[int], span(1, 12)] = Field(default=[3, 5])
    distractors: Annotated[list[int], span(0, 12)] = Field(default=[1, 3])
    hops: Annotated[list[int], span(2, 4)] = Field(default=[2, 2])
    unseen_test_names: bool = True

    def draw_distractors(self, rng: random.Random, gold: int) -> int:
        """Return how many distractors a story with `gold` supporting facts gets."""
        least, most = (max(0, length - gold) for length in self.statements)
        low, high = (min(max(number, least), most) for number in self.distractors)
        return rng.randint(low, high)


class Inventory(Settings):
    """What a story may be about: one of the two in names.yaml.

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
