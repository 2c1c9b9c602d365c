"""What all simulators share: from tellers of stories to tables of questions.

A question is a pure function of (data_seed, split, class, number): a larger split has the same
questions and then some. A number whose question stood there before is left out.
"""

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from tracekd import randomness
from tracekd.datasets import Loaded, Wanted, table
from tracekd.errors import TracekdError

T = TypeVar("T")

#: Numbers in a row without a new question after which a class counts as exhausted.
_PATIENCE = 2000


@dataclass(frozen=True, slots=True)
class Story:
    """One simulated question.

    Attributes:
        gold_facts: indexes into `context` of the facts that the answer follows from, in the order
            in which they are reasoned with.
    """

    context: list[str]
    question: str
    answers: list[str]
    gold_facts: list[int]
    subtype: str | None = None


#: Tells one story about one class of question; all it needs to know stands in the generator.
Teller = Callable[[random.Random], Story]


def simulate(
    name: str, wanted: Wanted, tellers: Callable[[str], Mapping[str, Teller]], *, shared: bool
) -> Loaded:
    """Return the train and the test split of the simulated data set `name`.

    Args:
        name: of the reader, the first part of every id.
        wanted: sizes, split evenly over the classes and rounded up.
        tellers: for a split, the teller of each class.
        shared: whether both splits draw on the same names. Then the parity of a question's hash
            decides which split may hold it, so that none stands in both.

    Raises:
        TracekdError: if a size is null, or a class has fewer different questions than wanted.
    """
    splits = {}
    for side, (split, size) in enumerate((("train", wanted.train), ("test", wanted.test))):
        if size is None:
            raise TracekdError(
                f"{name}: a simulator has no size of its own; set prepare.{split} in params.yaml "
                "to a number (null takes all there are)"
            )
        kinds = tellers(split)
        share = -(-size // len(kinds))
        rows: list[dict[str, Any]] = []
        for kind, tell in kinds.items():
            key = (wanted.data_seed, name, split, kind)
            rows += _questions(key, tell, share, side if shared else None)
        splits[split] = table(rows)
    return Loaded(splits=splits, rejected=[])


def _questions(
    key: tuple[int, str, str, str], tell: Teller, count: int, side: int | None
) -> list[dict[str, Any]]:
    _, name, split, kind = key
    rows: list[dict[str, Any]] = []
    seen: set[int] = set()
    number = latest = 0
    while len(rows) < count:
        story = tell(generator(*key, number))
        content = randomness.digest(story.question, *story.context)
        if content not in seen and side in (None, content % 2):
            seen.add(content)
            rows.append(_row(story, f"{name}/{split}/{kind}:{number}", kind, number))
            latest = number
        elif number - latest >= _PATIENCE:
            raise TracekdError(
                f"{name}: class {kind}: only {len(rows)} different questions of {count} found for "
                f"the {split} split; lower prepare.{split} or allow longer stories in its options"
            )
        number += 1
    return rows


def _row(story: Story, identifier: str, kind: str, number: int) -> dict[str, Any]:
    return {
        "id": identifier,
        "question": story.question,
        "context": story.context,
        "answers": story.answers,
        "question_class": kind,
        "subtype": story.subtype,
        "gold_facts": story.gold_facts,
        "source": f"simulator:{kind}:{number}",
    }


def generator(*key: str | int) -> random.Random:
    """Return a generator whose draws are a function of `key` alone, for one story."""
    return random.Random(randomness.digest(*key))  # noqa: S311


def arrange(rng: random.Random, items: list[tuple[str, T]]) -> tuple[list[str], list[T]]:
    """Return the sentences of `items` in a random order, and their meanings in the same order."""
    rng.shuffle(items)
    return [sentence for sentence, _ in items], [meaning for _, meaning in items]
