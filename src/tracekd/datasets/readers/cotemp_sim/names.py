"""Invented people and institutions: one inventory for each split, with no word in common.

No name contains another, so that a name found in a text is that name.
"""

import random
from dataclasses import dataclass

#: Names for institutions of a town, by sort (see `phrases`).
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
    """Given names, family names and towns."""

    given: tuple[str, ...]
    family: tuple[str, ...]
    towns: tuple[str, ...]

    def draw(self, rng: random.Random, sort: str) -> str:
        """Return a person, or an institution of a sort."""
        if sort == "person":
            return f"{rng.choice(self.given)} {rng.choice(self.family)}"
        return rng.choice(PATTERNS[sort]).format(rng.choice(self.towns))


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


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
