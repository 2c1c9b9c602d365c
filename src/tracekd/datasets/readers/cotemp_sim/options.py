"""Options of the simulator of dated facts, as in datasets.yaml."""

from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator, model_validator

from tracekd.config import Fraction, Settings

_Pair = Field(min_length=2, max_length=2)
#: At least an event, three matching facts and one distractor; the inventories suffice for 24.
_Facts = Annotated[int, Field(ge=5, le=24)]
_Year = Annotated[int, Field(ge=1000, le=3000)]
_Weight = Annotated[float, Field(ge=0)]


class Granularities(Settings):
    """How often a date is given as a year, a month or a day, relative to one another."""

    year: _Weight = 0.4
    month: _Weight = 0.2
    day: _Weight = 0.4

    @model_validator(mode="after")
    def _has_one(self) -> "Granularities":
        if self.year + self.month + self.day == 0:
            raise ValueError("at least one weight must be above 0")
        return self


class CotempSimOptions(Settings):
    """What the dated facts are like. Each pair is a minimum and a maximum, both included.

    Attributes:
        facts: how many a context has; those that are neither the event nor an answer are
            distractors. Prompts in SmolLM2's tokens, mean and maximum: 350 and 520; with [5, 8],
            225 and 330.
        years: within which the events in the questions begin and end.
        granularities: of all dates.
        points: fraction of distractors dated "in DATE" rather than "from DATE to DATE".
        unseen_test_names: whether no training fact has the people and institutions of the test
            split.
    """

    facts: Annotated[list[_Facts], _Pair] = Field(default=[8, 14])
    years: Annotated[list[_Year], _Pair] = Field(default=[1930, 2000])
    granularities: Granularities = Granularities()
    points: Fraction = 0.4
    unseen_test_names: bool = True

    @field_validator("facts", "years")
    @classmethod
    def _is_ordered(cls, span: list[int], info: ValidationInfo) -> list[int]:
        # An event takes up to twelve years.
        if span[1] - span[0] < (20 if info.field_name == "years" else 0):
            raise ValueError("must be [minimum, maximum], years at least 20 apart")
        return span
