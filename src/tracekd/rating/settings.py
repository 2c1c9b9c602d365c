"""rating.yaml: what one study is."""

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from tracekd.config.params import Count, Key, Seed
from tracekd.config.reading import Settings, parse_settings, read_yaml
from tracekd.traces.regimes import regime


class RatingItem(Settings):
    """A statement that is rated, and the words at both ends of its scale."""

    name: Key
    text: str
    low: str
    high: str


class RatingSettings(Settings):
    """What is rated, by how many raters, and how.

    Attributes:
        types: regimes whose traces are rated; the others are compared with the first one.
        raters: how many slot numbers there are to give out.
        questions: per rater; each is read with the trace of one type.
        sets: how many sets of so many questions there are; raters take turns with them.
        points: of the scale, from 1.
        attention_checks: per rater; a trace that only asks for a certain rating.
    """

    types: Annotated[list[str], Field(min_length=2)]
    raters: Count
    questions: Count
    sets: Count
    seed: Seed
    points: Annotated[int, Field(ge=2, le=11)]
    show_answer: bool
    attention_checks: Annotated[int, Field(ge=0, le=20)]
    introduction: str
    items: Annotated[list[RatingItem], Field(min_length=1)]

    @field_validator("types")
    @classmethod
    def _have_traces(cls, names: list[str]) -> list[str]:
        for name in names:
            if regime(name, "rating.yaml: types").like or name in ("none", "mixed"):
                raise ValueError(f"the regime {name} has no traces of its own to read")
        return names

    @model_validator(mode="after")
    def _agrees_with_itself(self) -> "RatingSettings":
        for names in (self.types, [item.name for item in self.items]):
            if len(set(names)) < len(names):
                raise ValueError(f"a duplicate among {', '.join(names)}")
        if self.questions % len(self.types):
            raise ValueError(
                f"questions must be a multiple of {len(self.types)}, the number of types"
            )
        return self


def load_rating(path: Path) -> RatingSettings:
    """Read rating.yaml."""
    return parse_settings(RatingSettings, read_yaml(path), str(path))
