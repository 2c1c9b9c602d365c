"""Intervals between dates of mixed granularity ("2014", "March, 2014", "March 11, 2014").

A coarse date stands for all the days it names, so "from 2010 to March, 2012" runs from January 1,
2010 to March 31, 2012, and "in 2010" is the whole year. Of the thirteen relations of Allen (1983,
doi:10.1145/182.358434) CoTempQA keeps three and ignores the direction: `equal`; `during` (Allen's
starts, during, finishes and their inverses: one is within the other); `overlap` (they share a part
and neither is within the other). Intervals that share no day have no relation.
"""

from calendar import monthrange
from dataclasses import dataclass
from datetime import date
from typing import Literal

Relation = Literal["equal", "during", "overlap"]
Granularity = Literal["year", "month", "day"]

RELATIONS: tuple[Relation, ...] = ("equal", "during", "overlap")

# Not calendar.month_name: its names change with the locale.
_NAMES = "January February March April May June July August September October November December"
_MONTHS = ["", *_NAMES.split()]
#: Pattern of a date as written; its groups are month, day and year.
DATE = rf"(?:({_NAMES.replace(' ', '|')})(?: (\d{{1,2}}))?, )?(\d{{1,4}})"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A date as written: all days from `first` to `last`, as proleptic Gregorian ordinals."""

    first: int
    last: int

    @classmethod
    def of(cls, day: int, granularity: Granularity) -> "Stamp":
        """Return the day, month or year that contains the day with the ordinal `day`."""
        if granularity == "day":
            return cls(day, day)
        moment = date.fromordinal(day)
        if granularity == "month":
            first = day - moment.day + 1
            return cls(first, first + monthrange(moment.year, moment.month)[1] - 1)
        return cls(date(moment.year, 1, 1).toordinal(), date(moment.year, 12, 31).toordinal())

    @classmethod
    def named(cls, month: str | None, day: str | None, year: str) -> "Stamp":
        """Return a date given the groups of `DATE`; ValueError if there is no such day."""
        moment = date(int(year), _MONTHS.index(month) if month else 1, int(day or 1))
        return cls.of(moment.toordinal(), "day" if day else "month" if month else "year")

    def __str__(self) -> str:
        moment = date.fromordinal(self.first)
        if self.first == self.last:
            return f"{_MONTHS[moment.month]} {moment.day}, {moment.year}"
        if self.last - self.first < 31:
            return f"{_MONTHS[moment.month]}, {moment.year}"
        return str(moment.year)


@dataclass(frozen=True, slots=True)
class Period:
    """The time of a fact: "in D" if `end` is None, else "from D to D"."""

    start: Stamp
    end: Stamp | None = None

    @property
    def first(self) -> int:
        """Ordinal of the first day."""
        return self.start.first

    @property
    def last(self) -> int:
        """Ordinal of the last day; a coarse date counts to its end."""
        return (self.end or self.start).last

    @property
    def last_at_least(self) -> int:
        """Ordinal of the last day if "to" excludes the end."""
        return self.end.first - 1 if self.end else self.start.first

    def __str__(self) -> str:
        return f"from {self.start} to {self.end}" if self.end else f"in {self.start}"


def relation(one: Period, other: Period) -> Relation | None:
    """Return how two periods relate, or None if they share no day. Symmetric."""
    return _relate(one.first, one.last, other.first, other.last)


def clear_relation(one: Period, other: Period) -> tuple[bool, Relation | None]:
    """Return whether the relation is clear, and the relation.

    It is clear if it is the same whether "to" includes or excludes the end: "from 2001 to 2004" and
    "from 2004 to 2007" overlap in one reading only.
    """
    found = relation(one, other)
    narrow = _relate(one.first, one.last_at_least, other.first, other.last_at_least)
    return found == narrow, found


def _relate(first: int, last: int, other_first: int, other_last: int) -> Relation | None:
    if last < other_first or other_last < first:
        return None
    if first == other_first and last == other_last:
        return "equal"
    from_start, to_end = first - other_first, last - other_last
    return "overlap" if from_start * to_end > 0 else "during"
