"""Stories of dated facts: what is asked, what else is told, and what follows from the dates.

In CoTempQA's alphabet the event a question names is (S1, R1, O1). S1_R2_O2, say, asks for objects
of the same subject in another relation, S2_R1_O1 for other subjects with the same object.
"""

import random
from collections.abc import Callable
from dataclasses import dataclass

from tracekd.datasets.intervals import Period, relation, relation_class
from tracekd.datasets.readers.cotemp_sim.names import Names
from tracekd.datasets.readers.cotemp_sim.options import Options
from tracekd.datasets.readers.cotemp_sim.phrases import (
    ASKED,
    PERSONAL,
    RELATIONS,
    Relation,
    question,
)
from tracekd.datasets.readers.cotemp_sim.timeline import Timeline, draw_relations
from tracekd.datasets.simulation import Story

#: Subject, relation and object; None is what a question asks for, or what is yet to be drawn.
Pattern = tuple[str | None, Relation, str | None]

#: Fraction of distractors that could answer the question, were it not for their time.
_HARD = 0.6


@dataclass(frozen=True, slots=True)
class Fact:
    """A subject stands in a relation to an object, for a while."""

    subject: str
    relation: Relation
    object: str
    period: Period

    def fits(self, pattern: Pattern) -> bool:
        """Return whether the fact is one of those that a pattern speaks of."""
        subject, kind, thing = pattern
        return (
            self.relation is kind
            and subject in (None, self.subject)
            and thing in (None, self.object)
        )

    def __str__(self) -> str:
        return f"{self.relation.fact.format(s=self.subject, o=self.object)} {self.period}."


@dataclass(frozen=True)
class Plot:
    """What a story is about, before any time is drawn.

    Attributes:
        event: what the question says was so; its object is drawn if it is None.
        asked: what the question asks for.
        aside: what else may be told, none of which can answer the question.
    """

    event: Pattern
    asked: Pattern
    aside: list[Pattern]


class Cast:
    """Deals names; none twice in one story."""

    def __init__(self, rng: random.Random, names: Names) -> None:
        self._rng, self._names = rng, names
        self._dealt: set[str] = set()

    def new(self, sort: str) -> str:
        """Return a new person, or a new institution of a sort."""
        while True:
            name = self._names.draw(self._rng, sort)
            if name not in self._dealt:
                self._dealt.add(name)
                return name

    def fact(self, pattern: Pattern, period: Period) -> Fact:
        """Return a fact that fits a pattern, with new names for what is None in it."""
        subject, kind, thing = pattern
        return Fact(
            subject or self.new(kind.subjects), kind, thing or self.new(kind.objects), period
        )


def same_subject_same_relation(rng: random.Random, cast: Cast) -> Plot:
    """What else was the subject in the same relation to?"""
    kind, person = rng.choice(ASKED), cast.new("person")
    aside: list[Pattern] = [(person, other, None) for other in PERSONAL if other is not kind]
    return Plot((person, kind, None), (person, kind, None), aside)


def same_subject_other_relation(rng: random.Random, cast: Cast) -> Plot:
    """What was the subject in another relation to?"""
    kind, other = _two_kinds(rng)
    person = cast.new("person")
    return Plot((person, kind, None), (person, other, None), [(person, kind, None)])


def other_subject_same_object(rng: random.Random, cast: Cast) -> Plot:
    """Who else was in the same relation to the same object? Upstream tells nothing aside."""
    kind = rng.choice(RELATIONS)
    subject, thing = cast.new(kind.subjects), cast.new(kind.objects)
    return Plot((subject, kind, thing), (None, kind, thing), [])


def other_subject_same_relation(rng: random.Random, cast: Cast) -> Plot:
    """What was another subject in the same relation to?"""
    kind, one, other = rng.choice(ASKED), cast.new("person"), cast.new("person")
    aside: list[Pattern] = [(one, told, None) for told in PERSONAL]
    aside += [(other, told, None) for told in PERSONAL if told is not kind]
    return Plot((one, kind, None), (other, kind, None), aside)


def other_subject_other_relation(rng: random.Random, cast: Cast) -> Plot:
    """What was another subject in another relation to?"""
    kind, other_kind = _two_kinds(rng)
    one, other = cast.new("person"), cast.new("person")
    aside: list[Pattern] = [(one, kind, None), (one, other_kind, None), (other, kind, None)]
    return Plot((one, kind, None), (other, other_kind, None), aside)


#: CoTempQA's `triple_element` and what makes a plot of it.
PLOTS: dict[str, Callable[[random.Random, Cast], Plot]] = {
    "S1_R1_O2": same_subject_same_relation,
    "S1_R2_O2": same_subject_other_relation,
    "S2_R1_O1": other_subject_same_object,
    "S2_R1_O2": other_subject_same_relation,
    "S2_R2_O2": other_subject_other_relation,
}


def dated_facts(rng: random.Random, wanted: str, names: Names, options: Options) -> Story:
    """Return a story whose question is of the class `wanted`."""
    subtype = rng.choice(list(PLOTS))
    cast = Cast(rng, names)
    plot = PLOTS[subtype](rng, cast)
    lasting = wanted in ("overlap", "mix") or rng.random() < 0.6
    timeline = Timeline(rng, options, lasting=lasting)
    event = cast.fact(plot.event, timeline.event)
    facts = [event]
    facts += [cast.fact(plot.asked, timeline.matching(way)) for way in draw_relations(rng, wanted)]
    for _ in range(rng.randint(*options.facts) - len(facts)):
        aside = plot.aside and rng.random() >= _HARD
        pattern = rng.choice(plot.aside) if aside else plot.asked
        facts.append(cast.fact(pattern, timeline.apart()))
    rng.shuffle(facts)
    return _derive(rng, facts, event, plot.asked, subtype, wanted)


def _derive(
    rng: random.Random,
    facts: list[Fact],
    event: Fact,
    asked: Pattern,
    subtype: str,
    wanted: str,
) -> Story:
    """Answer a question from its facts alone, by interval algebra."""
    matching = {
        index: way
        for index, fact in enumerate(facts)
        if fact is not event
        and fact.fits(asked)
        and (way := relation(fact.period, event.period)) is not None
    }
    assert relation_class(matching.values()) == wanted  # noqa: S101
    subject, kind, _ = asked
    answers = [facts[i].object if subject else facts[i].subject for i in matching]
    asks = kind.ask_object if subject else kind.ask_subject
    assert asks  # noqa: S101 - plots ask for objects of the relations in ASKED only
    return Story(
        context=[str(fact) for fact in facts],
        question=question(
            rng,
            event.relation.event.format(s=event.subject, o=event.object),
            asks.format(s=subject, o=event.object),
        ),
        answers=answers,
        gold_facts=[facts.index(event), *matching],
        subtype=subtype,
    )


def _two_kinds(rng: random.Random) -> tuple[Relation, Relation]:
    asked = rng.choice(ASKED)
    return rng.choice([kind for kind in PERSONAL if kind is not asked]), asked
