"""Stories of dated facts: the question, its distractors, and what follows from the dates.

In CoTempQA's notation the event that a question names is (S1, R1, O1). S1_R2_O2, for example, asks
for objects of the same subject in another relation, S2_R1_O1 for other subjects with the same
object.
"""

import random
from dataclasses import dataclass
from typing import NamedTuple

from tracekd.datasets.intervals import Period, relation, relation_class
from tracekd.datasets.readers.cotemp_sim.options import CotempSimOptions
from tracekd.datasets.readers.cotemp_sim.timeline import Timeline, draw_relations
from tracekd.datasets.readers.cotemp_sim.wording import (
    ASKED,
    PERSONAL,
    RELATIONS,
    WHEN,
    Names,
    Relation,
)
from tracekd.datasets.simulation import Story

#: Subject, relation and object; None is what a question asks for, or what is yet to be drawn.
Pattern = tuple[str | None, Relation, str | None]

#: The values of CoTempQA's `triple_element`.
SUBTYPES = ("S1_R1_O2", "S1_R2_O2", "S2_R1_O1", "S2_R1_O2", "S2_R2_O2")
#: Fraction of distractors that could answer the question but for their time.
_HARD = 0.6


@dataclass(frozen=True, slots=True)
class Fact:
    """A subject is in a relation to an object for some time."""

    subject: str
    relation: Relation
    object: str
    period: Period

    def matches(self, pattern: Pattern) -> bool:
        """Return whether this is a fact of the pattern."""
        subject, kind, thing = pattern
        return (
            self.relation is kind
            and subject in (None, self.subject)
            and thing in (None, self.object)
        )

    def __str__(self) -> str:
        return f"{self.relation.fact.format(s=self.subject, o=self.object)} {self.period}."


class Plot(NamedTuple):
    """What a story is about, before any time is drawn.

    Attributes:
        event: what the question says was so; its object is drawn if it is None.
        asked: what the question asks for.
        asides: what else the facts may be about; none of it can answer the question.
    """

    event: Pattern
    asked: Pattern
    asides: list[Pattern]


class Cast:
    """Draws names, none of them twice in one story."""

    def __init__(self, rng: random.Random, names: Names) -> None:
        self._rng, self._names = rng, names
        self._used: set[str] = set()

    def new(self, sort: str) -> str:
        """Return a new person, or a new institution of a sort."""
        while True:
            name = self._names.draw(self._rng, sort)
            if name not in self._used:
                self._used.add(name)
                return name

    def fact(self, pattern: Pattern, period: Period) -> Fact:
        """Return a fact that matches a pattern, with new names where it has None."""
        subject, kind, thing = pattern
        subject = subject or self.new(kind.subjects)
        return Fact(subject, kind, thing or self.new(kind.objects), period)


def draw_plot(rng: random.Random, cast: Cast, subtype: str) -> Plot:
    """Return a plot of one of the SUBTYPES."""
    asides: list[Pattern]
    match subtype:
        case "S1_R1_O2":  # What else was the subject in the same relation to?
            kind, person = rng.choice(ASKED), cast.new("person")
            asides = [(person, other, None) for other in PERSONAL if other is not kind]
            return Plot((person, kind, None), (person, kind, None), asides)
        case "S1_R2_O2":  # What was the subject in another relation to?
            (kind, other_kind), person = _two_relations(rng), cast.new("person")
            return Plot((person, kind, None), (person, other_kind, None), [(person, kind, None)])
        case "S2_R1_O1":  # Who else was in the same relation to the object? Upstream: no asides
            kind = rng.choice(RELATIONS)
            subject, thing = cast.new(kind.subjects), cast.new(kind.objects)
            return Plot((subject, kind, thing), (None, kind, thing), [])
        case "S2_R1_O2":  # What was another subject in the same relation to?
            kind, one, other = rng.choice(ASKED), cast.new("person"), cast.new("person")
            asides = [(one, aside, None) for aside in PERSONAL]
            asides += [(other, aside, None) for aside in PERSONAL if aside is not kind]
            return Plot((one, kind, None), (other, kind, None), asides)
        case _:  # What was another subject in another relation to?
            kind, other_kind = _two_relations(rng)
            one, other = cast.new("person"), cast.new("person")
            asides = [(one, kind, None), (one, other_kind, None), (other, kind, None)]
            return Plot((one, kind, None), (other, other_kind, None), asides)


def _two_relations(rng: random.Random) -> tuple[Relation, Relation]:
    asked = rng.choice(ASKED)
    return rng.choice([kind for kind in PERSONAL if kind is not asked]), asked


def dated_facts(rng: random.Random, wanted: str, names: Names, options: CotempSimOptions) -> Story:
    """Return a story whose question is of the class `wanted`.

    Class, answers and gold facts are derived from the finished facts by interval algebra.
    """
    subtype = rng.choice(SUBTYPES)
    cast = Cast(rng, names)
    plot = draw_plot(rng, cast, subtype)
    lasting = wanted in ("overlap", "mix") or rng.random() < 0.6
    timeline = Timeline(rng, options, lasting=lasting)
    event = cast.fact(plot.event, timeline.event)
    facts = [event]
    facts += [cast.fact(plot.asked, timeline.matching(way)) for way in draw_relations(rng, wanted)]
    for _ in range(rng.randint(*options.facts) - len(facts)):
        aside = plot.asides and rng.random() >= _HARD
        pattern = rng.choice(plot.asides) if aside else plot.asked
        facts.append(cast.fact(pattern, timeline.apart()))
    rng.shuffle(facts)

    matching = {
        index: way
        for index, fact in enumerate(facts)
        if fact is not event
        and fact.matches(plot.asked)
        and (way := relation(fact.period, event.period)) is not None
    }
    subject, kind, _ = plot.asked
    asks = kind.ask_object if subject else kind.ask_subject
    assert asks  # noqa: S101 - plots ask for objects of the relations in ASKED only
    assert relation_class(matching.values()) == wanted  # noqa: S101
    clause = event.relation.event.format(s=event.subject, o=event.object)
    asked = asks.format(s=subject, o=event.object)
    return Story(
        context=[str(fact) for fact in facts],
        question=f"While {clause}, {asked} {rng.choice(WHEN)}?",
        answers=[facts[i].object if subject else facts[i].subject for i in matching],
        gold_facts=[facts.index(event), *matching],
        subtype=subtype,
    )
