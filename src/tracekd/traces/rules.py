"""Rules that find a question's gold facts: the gold answer to the facts step.

A rule takes a question (a row of `records.QUESTIONS`) and returns the indexes of its gold facts
within its context, in the order in which a trace quotes them; none if no fact answers the question.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracekd.datasets import UNANSWERABLE
from tracekd.datasets.dated_facts import CLAUSES, DatedFact, parse_fact
from tracekd.datasets.intervals import relation
from tracekd.errors import TracekdError

Question = Mapping[str, Any]
Rule = Callable[[Question], list[int]]

_WORD = re.compile(r"\w+")

OUTSIDE_PERIOD = "a gold fact outside the period asked about"
PART_OF_A_NAME = "an answer that is a part of another name in a gold fact"


def annotated(question: Question) -> list[int]:
    """Return the facts that the dataset itself marks; it is an error if it marks none."""
    if question["gold_facts"] is None:
        raise TracekdError(
            f"rule annotated: {question['id']}: the dataset marks no facts; name another "
            f"rule under facts in datasets.yaml: {', '.join(RULES)} (answer_string finds an answer "
            "inside a word too: no in known)"
        )
    return list(question["gold_facts"])


def answer_string(question: Question) -> list[int]:
    """Return the facts that contain an answer verbatim, in upstream order: the paper's CoTempQA.

    Inside a word too: "no" is found in "known".
    """
    answers = question["answers"]
    facts = enumerate(question["context"])
    return [index for index, fact in facts if any(answer in fact for answer in answers)]


def word_overlap(question: Question) -> list[int]:
    """Return the one passage that shares the most different words with an answer.

    The paper's MS MARCO. The best of several answers counts, and the first of several equal
    passages. Words are runs of letters, digits and underscores in lower case. No passage is
    returned for an unanswerable question, or if none shares a word.
    """
    if UNANSWERABLE in question["answers"]:
        return []
    answers = [_words(answer) for answer in question["answers"]]
    passages = [_words(passage) for passage in question["context"]]
    shared = [max(len(passage & answer) for answer in answers) for passage in passages]
    return [shared.index(max(shared))] if max(shared) else []


def interval_algebra(question: Question) -> list[int]:
    """Return all facts from which a CoTempQA answer follows.

    First the fact that states the event in question ("While EVENT, which …"), then those of which
    an answer is the subject or object, and which share a day with the event.
    """
    facts, stated = _dated(question)
    named = [i for i, fact in enumerate(facts) if _names(fact, question["answers"])]
    pairs = [
        (event, match)
        for event in stated
        for match in named
        if match != event and _share_a_day(facts[event], facts[match])
    ]
    # An event may be stated twice, for two periods, of which only one leads to an answer.
    events = [event for event, _ in pairs] or stated
    return list(dict.fromkeys([*events, *sorted(match for _, match in pairs)]))


def doubts(question: Question) -> list[str]:
    """Return what is doubtful about the facts that `answer_string` finds for a CoTempQA question.

    A fact may share no day with the event in question, or contain an answer only as a part of
    another name ("Liberal Party" in "leader of the Liberal Party").
    """
    facts, events = _dated(question)
    found, gold = [], answer_string(question)
    others = [facts[i] for i in gold if i not in events]
    if events and not all(any(_share_a_day(facts[e], fact) for e in events) for fact in others):
        found.append(OUTSIDE_PERIOD)
    if any(facts[i].relation and not _names(facts[i], question["answers"]) for i in gold):
        found.append(PART_OF_A_NAME)
    return found


#: What `facts` in datasets.yaml may name.
RULES: dict[str, Rule] = {
    "annotated": annotated,
    "answer_string": answer_string,
    "word_overlap": word_overlap,
    "interval_algebra": interval_algebra,
}


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _dated(question: Question) -> tuple[list[DatedFact], list[int]]:
    """Return the context in parts, and the indexes of the facts that state the event asked about.

    ", wh" begins "which" or "who"; a bare comma may be part of the event's own name.
    """
    facts = [parse_fact(text) for text in question["context"]]
    events = [
        i
        for i, (subject, relation, thing, _) in enumerate(facts)
        if relation
        and question["question"].startswith(f"While {subject} {CLAUSES[relation]} {thing}, wh")
    ]
    return facts, events


def _names(fact: DatedFact, answers: Sequence[str]) -> bool:
    return fact.subject in answers or fact.object in answers


def _share_a_day(one: DatedFact, other: DatedFact) -> bool:
    return bool(one.period and other.period and relation(one.period, other.period))
