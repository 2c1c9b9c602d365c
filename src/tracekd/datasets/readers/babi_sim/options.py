"""Options of the simulator of small worlds, as in datasets.yaml."""

import random
from typing import Annotated

from pydantic import Field, field_validator

from tracekd.config import Settings

_Pair = Field(min_length=2, max_length=2)
#: The inventories have enough names for stories of this many statements.
_MOST = 12


class Options(Settings):
    """How hard the questions are. Each pair is a minimum and a maximum, drawn uniformly per story.

    Attributes:
        statements: length of a story. Supporting facts are never cut to fit it.
        distractors: statements of a story that the answer does not need; `statements` wins where
            the two conflict.
        hops: links in the chains of positional and size reasoning.
        unseen_test_names: whether no training story has the people, places and things of the test
            split.
    """

    statements: Annotated[list[Annotated[int, Field(ge=1, le=_MOST)]], _Pair] = Field(
        default=[4, 8]
    )
    distractors: Annotated[list[Annotated[int, Field(ge=0, le=_MOST)]], _Pair] = Field(
        default=[2, 6]
    )
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
