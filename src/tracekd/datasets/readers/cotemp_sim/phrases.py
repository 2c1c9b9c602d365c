"""How CoTempQA words its facts and questions.

The official metric reads candidates from facts by these relation frames (Su et al. 2024,
arXiv:2406.09072). Deviation: "which position did X hold", where upstream's S1_R1_O2 lacks the verb.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """A relation between a subject and an object, and its wordings.

    Attributes:
        subjects, objects: the sort of each side, "person" or a key of `names.PATTERNS`.
        fact: states it, up to the date.
        event: states it in the clause that opens a question.
        ask_object: asks for objects of `{s}`; None where upstream never does.
        ask_subject: asks for other subjects with the object `{o}`.
    """

    objects: str
    fact: str
    event: str
    ask_subject: str
    ask_object: str | None = None
    subjects: str = "person"


POSITION = Relation(
    objects="position",
    fact="{s} holds the position of {o}",
    event="{s} was holding the position of {o}",
    ask_object="which position did {s} hold",
    ask_subject="who also held the position of {o}",
)
PARTY = Relation(
    objects="party",
    fact="{s} is a member of the {o}",
    event="{s} was a member of {o}",
    ask_object="which political party did {s} belong to",
    ask_subject="who was also a member of {o}",
)
EMPLOYER = Relation(
    objects="employer",
    fact="{s} works for {o}",
    event="{s} was working for {o}",
    ask_object="which employer did {s} work for",
    ask_subject="who also worked for {o}",
)
SCHOOL = Relation(
    objects="school",
    fact="{s} attended {o}",
    event="{s} attended {o}",
    ask_object="which school did {s} attend",
    ask_subject="who also attended {o}",
)
TEAM = Relation(
    objects="team",
    fact="{s} plays for {o}",
    event="{s} was playing for {o}",
    ask_subject="who was also playing for {o}",
)
OWNER = Relation(
    subjects="property",
    objects="owner",
    fact="{s} is owned by {o}",
    event="{s} was owned by {o}",
    ask_subject="who was also owned by {o}",
)

RELATIONS = (POSITION, PARTY, EMPLOYER, SCHOOL, TEAM, OWNER)
#: What people do: the facts about one person can have several of these.
PERSONAL = (POSITION, PARTY, EMPLOYER, SCHOOL, TEAM)
#: Those of which upstream asks for the object.
ASKED = tuple(relation for relation in PERSONAL if relation.ask_object)

_WHEN = (
    "at the same time",
    "simultaneously",
    "concurrently",
    "during the same time period",
    "during the same time span",
    "during the identical time period",
    "within the same time interval",
)


def question(rng: random.Random, event: str, asked: str) -> str:
    """Return a question that asks what was so at the time of an event."""
    return f"While {event}, {asked} {rng.choice(_WHEN)}?"
