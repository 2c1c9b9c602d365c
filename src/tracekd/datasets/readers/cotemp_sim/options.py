"""What dated facts are made of: options in datasets.yaml, frames and names in wording.yaml."""

import random
from typing import Annotated, get_args

from pydantic import AfterValidator, Field

from tracekd.config import Fraction, Settings
from tracekd.datasets.intervals import Granularity
from tracekd.datasets.simulation import span


def _in_order(weights: dict[str, float]) -> dict[str, float]:
    if not sum(weights.values()):
        raise ValueError("at least one weight must be above 0")
    return {name: weights.get(name, 0.0) for name in get_args(Granularity)}


_Weights = Annotated[dict[Granularity, Annotated[float, Field(ge=0)]], AfterValidator(_in_order)]


class CotempSimOptions(Settings):
    """What the dated facts are like. Each pair is a minimum and a maximum, both included.

    Attributes:
        facts: how many a context has; those that are neither the event nor an answer are
            distractors. Prompts in SmolLM2's tokens, mean and maximum: 350 and 520; with [5, 8],
            225 and 330.
        years: within which the events in the questions begin and end.
        granularities: how often a date is given as a year, a month or a day, relative to one
            another.
        points: fraction of distractors dated "in DATE" rather than "from DATE to DATE".
        unseen_test_names: whether no training fact has the people and institutions of the test
            split.
    """

    # At least an event, three matching facts and one distractor; the names suffice for 24.
    facts: Annotated[list[int], span(5, 24)] = Field(default=[8, 14])
    # An event takes up to twelve years.
    years: Annotated[list[int], span(1000, 3000, apart=20)] = Field(default=[1930, 2000])
    granularities: _Weights = Field(default={"year": 0.4, "month": 0.2, "day": 0.4})
    points: Fraction = 0.4
    unseen_test_names: bool = True


class Relation(Settings):
    """How a relation between subject and object is worded; wording.yaml explains the fields."""

    fact: str
    event: str
    ask_subject: str
    ask_object: str | None = None
    subjects: str = "person"


class Names(Settings):
    """The words that names of one split consist of."""

    given: list[str]
    family: list[str]
    towns: list[str]


class Wording(Settings):
    """The content of wording.yaml."""

    relations: dict[str, Relation]
    when: list[str]
    institutions: dict[str, list[str]]
    names: dict[str, Names]

    def draw_name(self, rng: random.Random, side: str, sort: str) -> str:
        """Return a person, or an institution of a sort, with the words of one split."""
        words = self.names[side]
        if sort == "person":
            return f"{rng.choice(words.given)} {rng.choice(words.family)}"
        return rng.choice(self.institutions[sort]).format(rng.choice(words.towns))
