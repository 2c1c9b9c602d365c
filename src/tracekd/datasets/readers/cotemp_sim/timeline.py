"""Random periods in a given relation to an event.

Each period is proposed by a recipe and checked by the interval algebra: the relation must be clear,
that is the same whether the end of a period is included or not.
"""

import random
from collections.abc import Callable
from datetime import date

from tracekd.datasets.intervals import (
    RELATIONS,
    Period,
    Relation,
    Stamp,
    clear_relation,
)
from tracekd.datasets.readers.cotemp_sim.options import CotempSimOptions

_YEAR = 365


class Timeline:
    """All periods of one story, drawn around the period of its event."""

    def __init__(self, rng: random.Random, options: CotempSimOptions, *, lasting: bool) -> None:
        """Draw the event's period; a `lasting` one has a start and an end."""
        self._rng, self._points = rng, options.points
        self._granularities = list(options.granularities)
        self._weights = list(options.granularities.values())
        first, last = (date(year, 1, 1).toordinal() for year in options.years)
        start = rng.randint(first, last - 12 * _YEAR)
        drawn = None if lasting else Period(self._stamp(start))
        while drawn is None:
            drawn = self._from_to(start, start + rng.randint(2 * _YEAR, 12 * _YEAR))
        self.event = drawn

    def matching(self, wanted: Relation) -> Period:
        """Return a period in the relation `wanted` to the event."""
        if wanted == "equal":
            return self.event
        return self._draw(self._within if wanted == "during" else self._across, wanted)

    def apart(self) -> Period:
        """Return a period that shares no day with the event."""
        return self._draw(self._elsewhere, None)

    def _draw(self, recipe: Callable[[], Period | None], wanted: Relation | None) -> Period:
        while True:
            period = recipe()
            if period and clear_relation(period, self.event) == (True, wanted):
                return period

    def _within(self) -> Period | None:
        """Propose a period inside the event, or around it, maybe sharing its start or end."""
        rng, event = self._rng, self.event
        if event.end and rng.random() < 0.6:
            if rng.random() < 0.4:
                return Period(self._stamp(rng.randint(event.first, event.last)))
            start, end = sorted(rng.randint(event.first, event.last) for _ in range(2))
        else:
            start = event.first - rng.randint(60, 6 * _YEAR)
            end = event.last + rng.randint(60, 6 * _YEAR)
        shared = rng.random() if event.end else 1.0
        return self._from_to(
            event.start if shared < 0.15 else start,
            event.end if event.end and 0.15 <= shared < 0.3 else end,
        )

    def _across(self) -> Period | None:
        """Propose a period across the start or the end of the event."""
        event = self.event
        inside = self._rng.randint(event.first, event.last)
        beyond = self._rng.randint(60, 6 * _YEAR)
        if self._rng.random() < 0.5:
            return self._from_to(event.first - beyond, inside)
        return self._from_to(inside, event.last + beyond)

    def _elsewhere(self) -> Period | None:
        """Propose a period before or after the event, more often a near one."""
        rng, event = self._rng, self.event
        gap = 1 + int(15 * _YEAR * rng.random() ** 2)
        length = rng.randint(90, 8 * _YEAR)
        before = rng.random() < 0.5
        near = event.first - gap if before else event.last + gap
        if rng.random() < self._points:
            return Period(self._stamp(near))
        return self._from_to(near - length, near) if before else self._from_to(near, near + length)

    def _from_to(self, start: int | Stamp, end: int | Stamp) -> Period | None:
        """Return the period between two days or dates; None if they are not in order."""
        one, other = (day if isinstance(day, Stamp) else self._stamp(day) for day in (start, end))
        return Period(one, other) if one.last < other.first else None

    def _stamp(self, day: int) -> Stamp:
        (granularity,) = self._rng.choices(self._granularities, self._weights)
        return Stamp.of(day, granularity)


def draw_relations(rng: random.Random, wanted: str) -> list[Relation]:
    """Return the relations of the matching facts of a question of the class `wanted`.

    As upstream, most questions have one answer, those of the class "mix" two.
    """
    kinds = [relation for relation in RELATIONS if wanted in (relation, "mix")]
    drawn = rng.sample(kinds, min(2, len(kinds)))
    return [*drawn, rng.choice(kinds)] if rng.random() < 0.25 else drawn
