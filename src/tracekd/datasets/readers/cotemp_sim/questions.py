"""Stories of dated facts: the question, its distractors, and what follows from the dates.

In CoTempQA's notation the event that a question names is (S1, R1, O1). S1_R2_O2, for example, asks
for objects of the same subject in another relation, S2_R1_O1 for other subjects with the same
object.
"""

import random
from collections.abc import Callable
from typing import NamedTuple

from tracekd.datasets.intervals import Period, relation
from tracekd.datasets.readers.cotemp_sim.options import CotempSimOptions, Wording
from tracekd.datasets.readers.cotemp_sim.timeline import Timeline, draw_relations
from tracekd.datasets.simulation import Story

#: Subject, relation and object; None is what a question asks for, or what is yet to be drawn.
Pattern = tuple[str | None, str, str | None]

#: The values of CoTempQA's `triple_element`.
SUBTYPES = ("S1_R1_O2", "S1_R2_O2", "S2_R1_O1", "S2_R1_O2", "S2_R2_O2")
#: Fraction of distractors that could answer the question but for their time.
_HARD = 0.6


class Fact(NamedTuple):
    """A subject is in a relation to an object for some time."""

    subject: str
    relation: str
    object: str
    period: Period

    def matches(self, pattern: Pattern) -> bool:
        """Return whether this is a fact of the pattern."""
        return all(part in (None, own) for part, own in zip(pattern, self[:3], strict=True))


def draw_plot(
    rng: random.Random, subtype: str, wording: Wording, new: Callable[[str], str]
) -> tuple[Pattern, Pattern, list[Pattern]]:
    """Return what a question of a subtype is about, before any time is drawn.

    That is the event, whose object is drawn if it is None; what the question asks for; and what
    else the facts may be about, none of which can answer the question. `new` draws a name.
    """
    if subtype == "S2_R1_O1":  # Who else was in the same relation to the object? Upstream: no more
        kind = rng.choice(list(wording.relations))
        subject, thing = new(wording.relations[kind].subjects), new(kind)
        return (subject, kind, thing), (None, kind, thing), []
    personal = [name for name, kind in wording.relations.items() if kind.subjects == "person"]
    asked = rng.choice([name for name in personal if wording.relations[name].ask_object])
    named, around = asked, personal
    if "R2" in subtype:
        named = rng.choice([name for name in personal if name != asked])
        around = [named, asked]
    one = other = new("person")
    if "S2" in subtype:
        other = new("person")
    asides: list[Pattern] = [
        (person, name, None)
        for person in dict.fromkeys((one, other))
        for name in around
        if (person, name) != (other, asked)
    ]
    return (one, named, None), (other, asked, None), asides


def dated_facts(
    rng: random.Random, wanted: str, side: str, wording: Wording, options: CotempSimOptions
) -> Story:
    """Return a story with names of the split `side` whose question is of the class `wanted`.

    Class, answers and gold facts are derived from the finished facts by interval algebra.
    """
    used: set[str] = set()

    def new(sort: str) -> str:
        name = wording.draw_name(rng, side, sort)
        while name in used:
            name = wording.draw_name(rng, side, sort)
        used.add(name)
        return name

    def fact(pattern: Pattern, period: Period) -> Fact:
        subject, kind, thing = pattern
        return Fact(
            subject or new(wording.relations[kind].subjects), kind, thing or new(kind), period
        )

    subtype = rng.choice(SUBTYPES)
    named, asked, asides = draw_plot(rng, subtype, wording, new)
    lasting = wanted in ("overlap", "mix") or rng.random() < 0.6
    timeline = Timeline(rng, options, lasting=lasting)
    event = fact(named, timeline.event)
    facts = [event]
    facts += [fact(asked, timeline.matching(way)) for way in draw_relations(rng, wanted)]
    for _ in range(rng.randint(*options.facts) - len(facts)):
        aside = asides and rng.random() >= _HARD
        facts.append(fact(rng.choice(asides) if aside else asked, timeline.apart()))
    rng.shuffle(facts)

    matching = {
        index: way
        for index, other in enumerate(facts)
        if other is not event
        and other.matches(asked)
        and (way := relation(other.period, event.period)) is not None
    }
    kinds = set(matching.values())
    assert wanted == (kinds.pop() if len(kinds) == 1 else "mix")  # noqa: S101
    subject, kind, _ = asked
    asks = wording.relations[kind].ask_object if subject else wording.relations[kind].ask_subject
    assert asks  # noqa: S101 - plots ask for objects only where this is worded
    clause = wording.relations[event.relation].event.format(s=event.subject, o=event.object)
    return Story(
        context=[
            f"{wording.relations[kind].fact.format(s=one, o=other)} {period}."
            for one, kind, other, period in facts
        ],
        question=f"While {clause}, {asks.format(s=subject, o=event.object)} "
        f"{rng.choice(wording.when)}?",
        answers=[facts[i].object if subject else facts[i].subject for i in matching],
        gold_facts=[facts.index(event), *matching],
        subtype=subtype,
    )
