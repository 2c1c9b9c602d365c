"""What all simulators share: from functions that make one story to tables of questions.

A question is a pure function of (data_seed, split, class, number), so a larger split has the same
questions and more. A number that repeats an earlier question is skipped.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tracekd import randomness
from tracekd.datasets import Loaded, Wanted
from tracekd.errors import TracekdError

T = TypeVar("T")

#: Numbers in a row without a new question after which a class counts as exhausted.
_PATIENCE = 2000


@dataclass(frozen=True, slots=True)
class Story:
    """One simulated question.

    Attributes:
        gold_facts: indexes into `context` of the facts that the answer follows from, in the order
            of the reasoning.
    """

    context: list[str]
    question: str
    answers: list[str]
    gold_facts: list[int]
    subtype: str | None = None


#: Makes a story of one class from a random generator.
Maker = Callable[[random.Random], Story]


def simulate(
    name: str, wanted: Wanted, makers: Callable[[str], Mapping[str, Maker]], *, shared: bool
) -> Loaded:
    """Return the train and test splits of a simulated dataset.

    Args:
        name: of the reader, the first part of every id.
        wanted: sizes, divided evenly among the classes and rounded up.
        makers: returns the maker of each class for a split.
        shared: whether both splits use the same names. If so, the parity of a question's hash
            decides which split may contain it, so that none is in both.

    Raises:
        TracekdError: if a size is null, or a class has fewer different questions than wanted.
    """
    splits: dict[str, list[dict[str, Any]]] = {}
    for side, (split, size) in enumerate((("train", wanted.train), ("test", wanted.test))):
        if size is None:
            raise TracekdError(
                f"{name}: prepare.{split} in params.yaml is null (all questions), but a simulator "
                "can make any number; set it to a number"
            )
        classes = makers(split)
        rows: list[dict[str, Any]] = []
        for kind, make in classes.items():
            key = (wanted.data_seed, name, split, kind)
            rows += _questions(key, make, -(-size // len(classes)), side if shared else None)
        splits[split] = rows
    return Loaded.of(name, splits)


def _questions(
    key: tuple[int, str, str, str], make: Maker, count: int, side: int | None
) -> list[dict[str, Any]]:
    _, name, split, kind = key
    rows: list[dict[str, Any]] = []
    seen: set[int] = set()
    number = latest = 0
    while len(rows) < count:
        story = make(random.Random(randomness.digest(*key, number)))  # noqa: S311
        content = randomness.digest(story.question, *story.context)
        if content not in seen and side in (None, content % 2):
            seen.add(content)
            latest = number
            rows.append(
                {
                    "id": f"{name}/{split}/{kind}:{number}",
                    "question": story.question,
                    "context": story.context,
                    "answers": story.answers,
                    "question_class": kind,
                    "subtype": story.subtype,
                    "gold_facts": story.gold_facts,
                    "source": f"simulator:{kind}:{number}",
                }
            )
        elif number - latest >= _PATIENCE:
            raise TracekdError(
                f"{name}: class {kind}: found only {len(rows)} different questions of {count} for "
                f"the {split} split; lower prepare.{split} or allow longer stories in the options"
            )
        number += 1
    return rows


def arrange(rng: random.Random, items: list[tuple[str, T]]) -> tuple[list[str], list[T]]:
    """Return the sentences of `items` in a random order, and their meanings in the same order."""
    rng.shuffle(items)
    return [sentence for sentence, _ in items], [meaning for _, meaning in items]
