"""What an answer metric is given, what it returns, and the comparisons that metrics share."""

import string
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal, NamedTuple

import polars as pl

from tracekd.errors import TracekdError
from tracekd.records import SCORES
from tracekd.traces.grammar import one_line

_PUNCTUATION = string.punctuation.encode()


class Attempt(NamedTuple):
    """A question and an answer to it.

    Attributes:
        question, context, answers, subtype: as in `tracekd.records.QUESTIONS`; context is empty for
            a metric that does not look at it.
        text: the answer as one string; "" if none could be read.
        items: the answer split at the grammar's separators.
    """

    question: str
    context: Sequence[str]
    answers: Sequence[str]
    subtype: str | None
    text: str
    items: Sequence[str]


class Verdict(NamedTuple):
    """What a metric says of one answer.

    Attributes:
        correct: the verdict that enters the 2x2 with the trace.
        parts: the metric's further numbers, the same keys for every answer; None where undefined.
    """

    correct: bool
    parts: Mapping[str, float | None]


def _means(scores: pl.DataFrame, parts: Sequence[str]) -> dict[str, float | None]:
    if scores.is_empty():
        return dict.fromkeys(parts)
    return dict(scores.select(pl.col(part).mean() for part in parts).row(0, named=True))


@dataclass(frozen=True, slots=True)
class AnswerMetric:
    """An official answer metric.

    Attributes:
        parts: keys of every verdict's parts, columns of the table of scores.
        judge: the verdict on one answer.
        figures: (rows of the table of scores, parts) -> the figures of these rows together; None
            where undefined. By default the mean of each part.
        reads_context: whether `judge` looks at the context, which is costly to hand over.
        judge_all: a table as for `tracekd.scoring.answers.judge_answers` -> `judge` of all its rows
            at once: the columns correct and `parts`. By default row by row.
    """

    parts: tuple[str, ...]
    judge: Callable[[Attempt], Verdict]
    figures: Callable[[pl.DataFrame, Sequence[str]], dict[str, float | None]] = _means
    reads_context: bool = True
    judge_all: Callable[[pl.DataFrame], pl.DataFrame] | None = None

    def __post_init__(self) -> None:
        """Refuse parts that could be taken for other columns of the table of scores."""
        taken = {*SCORES, "accuracy"}
        if isinstance(self.parts, str) or taken & set(self.parts):
            raise TracekdError(
                f"answer metric {self.judge.__module__}: parts must be a tuple of names that are "
                f"not taken ({', '.join(sorted(taken))}); found {self.parts!r}"
            )


@lru_cache(maxsize=1 << 16)
def normalise(text: str) -> str:
    """Return `text` in lower case, without ASCII punctuation, white space squeezed.

    >>> normalise(" The  U.S. ")
    'the us'
    """
    # In UTF-8 a byte of punctuation is nothing else; `str.translate` takes ten times as long.
    return one_line(text.lower().encode().translate(None, _PUNCTUATION).decode())


def overlap(predicted: Sequence[str], gold: Sequence[str]) -> tuple[float, float, float]:
    """Return precision, recall and F1 of two multisets; all 0 if nothing is shared."""
    shared = sum((Counter(predicted) & Counter(gold)).values())
    if not shared:
        return 0.0, 0.0, 0.0
    precision, recall = shared / len(predicted), shared / len(gold)
    return precision, recall, 2 * precision * recall / (precision + recall)


def contains_words(text: str, words: str) -> bool:
    """Return whether `words` (normalised, not empty) stand in `text` (normalised) as whole words.

    >>> contains_words("it took 50 years", "5")
    False
    """
    return bool(words) and f" {words} " in f" {text} "


def answer_in_facts(
    facts: Sequence[str] | None, gold: Sequence[str], answers: Literal["all", "any"]
) -> bool | None:
    """Return whether facts state the gold answer: all its items, or any alternative.

    Compared without case and punctuation, as whole words. None if there are no facts to look in.
    """
    if facts is None:
        return None
    stated = [normalise(fact) for fact in facts]
    found = (any(contains_words(fact, normalise(item)) for fact in stated) for item in gold)
    return all(found) if answers == "all" else any(found)
