"""CoTempQA's facts: who stands in which relation to what, and when."""

import re
from typing import NamedTuple

from tracekd.datasets.intervals import DATE, Period, Stamp

#: How a relation is worded in a fact, and in the question about a fact ("While EVENT, which …").
CLAUSES = {
    "works for": "was working for",
    "worked for": "was working for",
    "holds the position of": "was holding the position of",
    "plays for": "was playing for",
    "attended": "attended",
    "is a member of the": "was a member of",
    "is owned by": "was owned by",
    "is the chair of": "was the chair of",
}
_RELATION = re.compile(rf" ({'|'.join(CLAUSES)}) ")
_PERIOD = re.compile(rf" (?:in {DATE}|from {DATE} to {DATE})\.$")


class DatedFact(NamedTuple):
    """A fact in parts, empty or None where it does not have them."""

    subject: str
    relation: str
    object: str
    period: Period | None


def parse_fact(text: str) -> DatedFact:
    """Return a fact in parts; without a known relation, all of it but the period is the subject.

    >>> parse_fact("Ada Moor works for Orlo Mill from May, 2001 to 2004.")[:3]
    ('Ada Moor', 'works for', 'Orlo Mill')
    """
    statement, period = text, None
    if ending := _PERIOD.search(text):
        parts = ending.groups()
        try:
            period = Period(*(Stamp.named(*parts[i : i + 3]) for i in (0, 3, 6) if parts[i + 2]))
            statement = text[: ending.start()]
        except ValueError:  # there is no such day
            pass
    subject, relation, thing, *_ = [*_RELATION.split(statement, maxsplit=1), "", ""]
    return DatedFact(subject, relation, thing, period)
