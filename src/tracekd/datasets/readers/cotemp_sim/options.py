"""The knobs of the simulator of dated facts, as they stand in datasets.yaml."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tracekd.config import Fraction, Settings

#: An event, three matching facts and one distractor.
FEWEST_FACTS = 5
#: The inventories hold enough names for contexts of this many facts.
MOST_FACTS = 24

Facts = Annotated[int, Field(ge=FEWEST_FACTS, le=MOST_FACTS)]
Year = Annotated[int, Field(ge=1000, le=3000)]
Weight = Annotated[float, Field(ge=0)]


class Granularities(Settings):
    """How often a date is given as a year, a month or a day, relative to one another."""

    year: Weight = 0.4
    month: Weight = 0.2
    day: Weight = 0.4

    @model_validator(mode="after")
    def _has_one(self) -> "Granularities":
        if self.year + self.month + self.day == 0:
            raise ValueError("at least one weight must be above 0")
        return self


class Options(Settings):
    """What the dated facts are like. Each pair is a least and a most, both included.

    Attributes:
        facts: how many a context holds; what neither is the event nor answers is a distractor.
            Prompts in SmolLM2's tokens, mean and most: 350 and 520; with [5, 8], 225 and 330.
        years: within which the events asked about begin and end.
        granularities: of all dates.
        points: fraction of distractors told as "in DATE" rather than "from DATE to DATE".
        unseen_test_names: whether the people and institutions of the test split stand in no
            training fact.
    """

    facts: tuple[Facts, Facts] = (8, 14)
    years: tuple[Year, Year] = (1930, 2000)
    granularities: Granularities = Granularities()
    points: Fraction = 0.4
    unseen_test_names: bool = True

    @field_validator("facts", "years")
    @classmethod
    def _is_ordered(cls, span: tuple[int, int], info: ValidationInfo) -> tuple[int, int]:
        # An event takes up to twelve years.
        if span[1] - span[0] < (20 if info.field_name == "years" else 0):
            raise ValueError("must be [least, most], years at least 20 apart")
        return span
