"""Rules that find a question's gold facts: the gold answer to the facts step.

A rule takes a question (a row of `records.QUESTIONS`) and returns the indexes of its gold facts
within its context, in the order in which a trace quotes them; none if no fact answers the question.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tracekd.datasets import UNANSWERABLE
from tracekd.datasets.intervals import Period, relation, split_fact
from tracekd.errors import TracekdError

Question = Mapping[str, Any]
Rule = Callable[[Question], list[int]]

#: How CoTempQA words a relation in a fact, and in the question about a fact.
_CLAUSES = {
    "works for": "was working for",
    "worked for": "was working for",
    "holds the position of": "was holding the position of",
    "plays for": "was playing for",
    "attended": "attended",
    "is a member of the": "was a member of",
    "is owned by": "was owned by",
}
_VERB = re.compile(rf" ({'|'.join(_CLAUSES)}) ")
_WORD = re.compile(r"\w+")


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
    return _containing(question["context"], question["answers"])


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

    First the fact that states the event in question ("While EVENT, which …"), then those that
    contain an answer and share a day with it.
    """
    context = question["context"]
    stated = [i for i, fact in enumerate(context) if _states_event(fact, question["question"])]
    named = _containing(context, question["answers"])
    periods = {i: _dated(context[i])[1] for i in (*stated, *named)}
    pairs = [
        (event, match)
        for event in stated
        for match in named
        if match != event and _share_a_day(periods[event], periods[match])
    ]
    # An event may be stated twice, for two periods, of which only one leads to an answer.
    events = [event for event, _ in pairs] or stated
    return list(dict.fromkeys([*events, *sorted(match for _, match in pairs)]))


#: What `facts` in datasets.yaml may name.
RULES: dict[str, Rule] = {
    "annotated": annotated,
    "answer_string": answer_string,
    "word_overlap": word_overlap,
    "interval_algebra": interval_algebra,
}


def _containing(context: Sequence[str], answers: Sequence[str]) -> list[int]:
    return [i for i, fact in enumerate(context) if any(answer in fact for answer in answers)]


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _share_a_day(one: Period | None, other: Period | None) -> bool:
    return one is not None and other is not None and relation(one, other) is not None


def _dated(fact: str) -> tuple[str, Period | None]:
    try:
        return split_fact(fact)
    except TracekdError:
        return fact, None


def _states_event(fact: str, question: str) -> bool:
    verb = _VERB.search(fact)
    if verb is None:
        return False
    opening = f"While {fact[: verb.start()]} {_CLAUSES[verb[1]]} "
    if not question.startswith(opening):
        return False
    # ", wh" begins "which" or "who"; a bare comma may be part of the event's own name.
    return question.startswith(f"{_dated(fact)[0][verb.end() :]}, wh", len(opening))
