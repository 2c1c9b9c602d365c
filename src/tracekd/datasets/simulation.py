"""What all simulators share: from a function that makes one story to tables of questions.

A question is a pure function of (data_seed, split, class, number), so a larger split has the same
questions and more. A number that repeats an earlier question is skipped.
"""

import random
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

from pydantic import AfterValidator

from tracekd import randomness
from tracekd.datasets import Loaded, Wanted
from tracekd.errors import TracekdError

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


#: Makes a story from its class, the split whose names it uses ("train" or "test") and a generator.
Maker = Callable[[str, str, random.Random], Story]


def span(least: int, most: int, apart: int = 0) -> AfterValidator:
    """Return a validator for an option `[minimum, maximum]`, both from `least` to `most`."""
    distance = f", at least {apart} apart" if apart else ""

    def check(found: list[int]) -> list[int]:
        if len(found) != 2 or not least <= found[0] <= found[1] - apart <= most - apart:
            raise ValueError(f"must be [minimum, maximum], from {least} to {most}{distance}")
        return found

    return AfterValidator(check)


def simulate(
    name: str, wanted: Wanted, classes: Collection[str], make: Maker, *, unseen: bool
) -> Loaded:
    """Return the train and test splits of a simulated dataset.

    Sizes are divided evenly among the classes and rounded up. If the test split has no `unseen`
    names of its own, the parity of a question's hash decides which split may contain it, so that
    none is in both.

    Raises:
        TracekdError: if a size is null, or a class has fewer different questions than wanted.
    """
    splits: dict[str, list[dict[str, Any]]] = {"train": [], "test": []}
    for parity, (split, rows) in enumerate(splits.items()):
        size: int | None = getattr(wanted, split)
        if size is None:
            raise TracekdError(
                f"{name}: prepare.{split} in params.yaml is null (all questions), but a simulator "
                "can make any number; set it to a number"
            )
        count = -(-size // len(classes))
        for kind in classes:
            stories = _stories((wanted.data_seed, name, split, kind), make, unseen, parity)
            found = list(islice(stories, count))
            if len(found) < count:
                raise TracekdError(
                    f"{name}: class {kind}: found only {len(found)} different questions of {count} "
                    f"for the {split} split; lower prepare.{split} or allow longer stories in the "
                    "options"
                )
            rows += [
                {
                    "id": f"{name}/{split}/{kind}:{number}",
                    "question_class": kind,
                    "source": f"simulator:{kind}:{number}",
                    **asdict(story),
                }
                for number, story in found
            ]
    return Loaded.of(name, splits)


def _stories(
    key: tuple[int, str, str, str], make: Maker, unseen: bool, parity: int
) -> Iterator[tuple[int, Story]]:
    """Yield stories with their numbers, until many numbers in a row give no new one."""
    *_, split, kind = key
    seen: set[int] = set()
    number = latest = 0
    while number - latest <= _PATIENCE:
        rng = random.Random(randomness.digest(*key, number))  # noqa: S311
        story = make(kind, split if unseen else "train", rng)
        content = randomness.digest(story.question, *story.context)
        if content not in seen and (unseen or content % 2 == parity):
            seen.add(content)
            latest = number
            yield number, story
        number += 1
