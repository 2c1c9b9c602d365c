"""The definition of `tracekd.scoring.traces` row by row: what its columns are compared with."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from tracekd.scoring.attempt import normalise
from tracekd.traces.grammar import Trace, one_line

Step = Literal["class", "facts"]


@dataclass(frozen=True, slots=True)
class FactsVerdict:
    """The Information Retrieval step. Facts that read the same count as one.

    Attributes:
        predicted: indexes into the context, as quoted, without repetition.
        lenient: quoted facts found only without regard to case and punctuation.
        unmatched: quoted texts that stand in no fact; each is a wrong fact.
        exact: all gold facts and no other text.
    """

    predicted: tuple[int, ...]
    lenient: int
    unmatched: int
    precision: float
    recall: float
    f1: float
    exact: bool


@dataclass(frozen=True, slots=True)
class TraceVerdict:
    """A trace. None where the regime teaches no such step.

    Attributes:
        class_name: the class as predicted; None also if the step is missing from the trace.
        facts: `MISSING` if the step is missing from the trace.
        correct: every step that the regime teaches is right.
    """

    class_name: str | None
    class_correct: bool | None
    facts: FactsVerdict | None
    correct: bool | None


#: The verdict on a trace that was to quote facts and has no such step.
MISSING = FactsVerdict((), 0, 0, 0.0, 0.0, 0.0, exact=False)


def score_trace(
    trace: Trace,
    gold_class: str,
    gold_facts: Collection[int],
    context: Sequence[str],
    steps: Collection[Step],
) -> TraceVerdict:
    """Score the steps that a regime teaches.

    Args:
        trace: as read by the grammar.
        gold_class: compared without regard to case and punctuation.
        gold_facts: indexes into `context`; may be empty (no fact answers the question).
        context: the question's facts or passages, each one line (`grammar.one_line`).
        steps: the taught steps, `tracekd.traces.regimes.REGIMES[name].steps`.
    """
    class_name, class_correct, facts = None, None, None
    taught: list[bool] = []
    if "class" in steps:
        class_name = trace.class_name
        class_correct = class_name is not None and normalise(class_name) == normalise(gold_class)
        taught.append(class_correct)
    if "facts" in steps:
        facts = MISSING if trace.facts is None else score_facts(trace.facts, gold_facts, context)
        taught.append(facts.exact)
    return TraceVerdict(class_name, class_correct, facts, all(taught) if taught else None)


def score_facts(
    quoted: Sequence[str], gold_facts: Collection[int], context: Sequence[str]
) -> FactsVerdict:
    """Find each quoted text among the facts of the context and compare with the gold ones.

    No fact quoted where none is gold is exact, with precision, recall and F1 of 1. No fact quoted
    where some are gold has precision 0, as has every quotation where none is gold.

    Args:
        quoted: texts as read from a trace.
        gold_facts: indexes into `context`.
        context: facts, each one line.
    """
    found = {text: _place(text, context) for text in map(one_line, quoted)}
    missed = [text for text, index in found.items() if index is None]
    found.update(_find_leniently(missed, context))
    every = list(found.values())
    predicted = tuple(dict.fromkeys(index for index in every if index is not None))
    unmatched = every.count(None)
    gold = {context.index(context[index]) for index in gold_facts}
    precision, recall, f1 = _overlap(set(predicted), gold, unmatched)
    lenient = len(missed) - unmatched
    exact = set(predicted) == gold and not unmatched
    return FactsVerdict(predicted, lenient, unmatched, precision, recall, f1, exact)


def _place(text: str, context: Sequence[str]) -> int | None:
    return context.index(text) if text in context else None


def _find_leniently(texts: Sequence[str], context: Sequence[str]) -> dict[str, int | None]:
    """Return the first fact that equals each text but for case and punctuation."""
    if not texts:
        return {}
    bare = [normalise(fact) for fact in context]
    return {text: _place(normalise(text), bare) for text in texts}


def _overlap(predicted: set[int], gold: set[int], unmatched: int) -> tuple[float, float, float]:
    said = len(predicted) + unmatched
    if not said and not gold:
        return 1.0, 1.0, 1.0
    shared = len(predicted & gold)
    if not shared:
        return 0.0, 0.0, 0.0
    precision, recall = shared / said, shared / len(gold)
    return precision, recall, 2 * precision * recall / (precision + recall)
