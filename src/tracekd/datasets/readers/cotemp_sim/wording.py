"""How CoTempQA words its facts and questions, and the invented names that fill them.

The official metric reads candidates from facts by these relation frames (Su et al. 2024,
arXiv:2406.09072). Deviation: "which position did X hold", where upstream's S1_R1_O2 lacks the verb.

There is one inventory of names for each split, with no word in common. No name contains another, so
that a name found in a text is that name.
"""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Relation:
    """A relation between a subject and an object, and its wordings.

    Attributes:
        subjects, objects: the sort of each side, "person" or a key of `PATTERNS`.
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

#: What people do: the facts about one person can have several of these.
PERSONAL = (POSITION, PARTY, EMPLOYER, SCHOOL, TEAM)
RELATIONS = (*PERSONAL, OWNER)
#: Those of which upstream asks for the object.
ASKED = tuple(relation for relation in PERSONAL if relation.ask_object)

WHEN = (
    "at the same time",
    "simultaneously",
    "concurrently",
    "during the same time period",
    "during the same time span",
    "during the identical time period",
    "within the same time interval",
)

#: Names for institutions of a town, by sort.
PATTERNS: dict[str, tuple[str, ...]] = {
    "position": (
        "mayor of {}",
        "ambassador to {}",
        "bishop of {}",
        "governor of {}",
        "director of the {} Archive",
        "Minister for {} Affairs",
        "judge of the {} Court",
    ),
    "party": ("{} Reform Party", "{} Liberals", "{} Workers' Union", "{} Green Alliance"),
    "employer": ("{} Railways", "{} Steel Works", "{} Museum", "{} Observatory", "Bank of {}"),
    "school": ("University of {}", "{} College", "{} Academy", "{} School of Law"),
    "team": ("{} Rovers", "FC {}", "{} Hawks", "{} United"),
    "owner": ("{} Holdings", "{} Capital", "{} Trust"),
    "property": ("{} Castle", "{} Gazette", "{} Vineyards", "Hotel {}"),
}


@dataclass(frozen=True)
class Names:
    """Names for one split."""

    given: list[str]
    family: list[str]
    towns: list[str]

    def draw(self, rng: random.Random, sort: str) -> str:
        """Return a person, or an institution of a sort."""
        if sort == "person":
            return f"{rng.choice(self.given)} {rng.choice(self.family)}"
        return rng.choice(PATTERNS[sort]).format(rng.choice(self.towns))


_words = str.split

TRAIN = Names(
    given=_words(
        "Adela Bruno Celia Dario Elina Fabio Greta Hugo Ines Jakob Katja Leon Mira Nils Olga Piet "
        "Rosa Stefan Tilda Urs Vera Walter Yusuf Zora Amos Beate"
    ),
    family=_words(
        "Albrecht Bernini Castell Dahlgren Ekholm Ferrant Gruber Hallam Ivarsson Jensen Kovac "
        "Lindqvist Marchetti Novak Okafor Petrov Quiroga Rasmussen Sorel Thorne Ulrich Varga "
        "Weller Yilmaz Zeller Moreau"
    ),
    towns=_words(
        "Arlen Brevik Corvo Dunmere Eastholm Falkirk Garonne Hadley Ilmen Jarrow Kelso Lomond "
        "Merano Norwick Ostrava Pavia Quimper Ravensby Selwyn Tarento Ulvik Verdan Wexcombe "
        "Yarmouth Zadar Alvito Bexley Cardona"
    ),
)

TEST = Names(
    given=_words(
        "Aron Bianca Cyril Delia Emil Flora Gustav Helga Igor Judit Klaus Lydia Marek Nadia Orson "
        "Petra Quentin Rufus Selma Theo Ulla Viktor Wilma Xenia Yannick Zelda"
    ),
    family=_words(
        "Ashdown Brandt Colombo Drummond Eriksen Fontaine Galvan Hoffman Iliescu Jorgensen Keller "
        "Lombardi Mercier Nyberg Ottoman Palmer Quist Romero Salonen Tanaka Umberto Vogel Winter "
        "Ybarra Zimmer Korhonen"
    ),
    towns=_words(
        "Ambrose Belmont Cresswell Dorsten Elverum Fenwick Glarus Hexham Imatra Jelsa Kirkwall "
        "Lugano Montrose Nivelles Odense Pruszkow Quedlin Rothbury Stavern Tønder Umbria Vaduz "
        "Wendover Yverdon Zwolle Alcoy Bodmin Cuneo"
    ),
)
