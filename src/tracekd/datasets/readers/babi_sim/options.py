"""The knobs of the simulator of small worlds, as they stand in datasets.yaml."""

import random
from typing import Annotated

from pydantic import Field, field_validator

from tracekd.config import Settings

#: The inventories hold enough names for stories of this many statements.
MOST_STATEMENTS = 12
MOST_HOPS = 4

#: Least and most, both included.
Span = tuple[int, int]
Statements = Annotated[int, Field(ge=1, le=MOST_STATEMENTS)]
Distractors = Annotated[int, Field(ge=0, le=MOST_STATEMENTS)]
Hops = Annotated[int, Field(ge=2, le=MOST_HOPS)]


class Options(Settings):
    """How hard the questions are. Each pair is a least and a most, drawn uniformly per story.

    Attributes:
        statements: length of a story. Supporting facts are never cut to fit it.
        distractors: statements of a story that the answer does not need; `statements` wins where
            both cannot be had.
        hops: links in the chains of positional and size reasoning.
        unseen_test_names: whether the names, places and things of the test split stand in no
            training story.
    """

    statements: tuple[Statements, Statements] = (4, 8)
    distractors: tuple[Distractors, Distractors] = (2, 6)
    hops: tuple[Hops, Hops] = (2, 2)
    unseen_test_names: bool = True

    @field_validator("statements", "distractors", "hops")
    @classmethod
    def _is_ordered(cls, span: Span) -> Span:
        if span[0] > span[1]:
            raise ValueError("must be [least, most]")
        return span

    def draw_distractors(self, rng: random.Random, gold: int) -> int:
        """Return how many distractors a story with `gold` supporting facts gets."""
        least, most = (max(0, length - gold) for length in self.statements)
        low, high = (min(max(number, least), most) for number in self.distractors)
        return rng.randint(low, high)
