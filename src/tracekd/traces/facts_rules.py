"""Rules that find a question's gold facts: the gold answer to the Information Retrieval step.

A rule takes a table of questions and returns for each the indexes of its gold facts within its
context, in the order in which a trace quotes them; none where no fact answers the question.
"""

import re
from collections.abc import Callable, Sequence

import polars as pl

from tracekd.datasets import UNANSWERABLE
from tracekd.datasets.intervals import Period, relation, split_fact
from tracekd.errors import TracekdError

Rule = Callable[[pl.DataFrame], list[list[int]]]

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


def annotated(questions: pl.DataFrame) -> list[list[int]]:
    """Return the facts that the data set itself marks.

    Raises:
        TracekdError: if it marks none.
    """
    if questions["gold_facts"].null_count():
        key = questions.filter(pl.col("gold_facts").is_null())["id"][0]
        raise TracekdError(
            f"rule annotated: {key}: the data set marks no supporting facts; name another rule "
            "under facts in datasets.yaml"
        )
    facts: list[list[int]] = questions["gold_facts"].to_list()
    return facts


def answer_string(questions: pl.DataFrame) -> list[list[int]]:
    """Return the facts that contain an answer verbatim, in upstream order: the paper's CoTempQA."""
    rows = questions.select("context", "answers").iter_rows()
    return [_containing(context, answers) for context, answers in rows]


def word_overlap(questions: pl.DataFrame) -> list[list[int]]:
    """Return the one passage that shares most different words with an answer: the paper's MS MARCO.

    The best of several answers counts, the first of several equal passages. Words are runs of
    letters, digits and underscores in lower case. No passage is returned for an unanswerable
    question, or if none shares a word.
    """
    answerable = ~questions["answers"].list.contains(UNANSWERABLE)
    found = (_closest(*row) for row in _spaced(questions.filter(answerable)).iter_rows())
    return [next(found) if asked else [] for asked in answerable]


def interval_algebra(questions: pl.DataFrame) -> list[list[int]]:
    """Return all facts from which a CoTempQA answer follows.

    First the fact that states the event asked about (question: "While EVENT, which …"), then those
    that contain an answer and share a day with it.
    """
    rows = questions.select("question", "context", "answers").iter_rows()
    return [_derivation(*row) for row in rows]


#: What `facts` in datasets.yaml may name.
RULES: dict[str, Rule] = {
    "annotated": annotated,
    "answer_string": answer_string,
    "word_overlap": word_overlap,
    "interval_algebra": interval_algebra,
}


def _containing(context: Sequence[str], answers: Sequence[str]) -> list[int]:
    return [i for i, fact in enumerate(context) if any(answer in fact for answer in answers)]


def _spaced(questions: pl.DataFrame) -> pl.DataFrame:
    """Return passages and answers as words between single spaces."""
    text = pl.concat_str(pl.lit(" "), pl.element(), pl.lit(" "))
    # Single spaces, which most gaps between words are, stay as they are.
    words = text.str.to_lowercase().str.replace_all(r"\W{2,}|[^\w ]", " ")
    return questions.select(pl.col("context", "answers").list.eval(words))


def _closest(passages: Sequence[str], answers: Sequence[str]) -> list[int]:
    # A word with its spaces is looked for in the text with its spaces: much faster than sets.
    words = [{f" {word} " for word in answer.split()} for answer in answers]
    shared = [max(sum(map(text.__contains__, each)) for each in words) for text in passages]
    best = max(shared)
    return [shared.index(best)] if best else []


def _derivation(question: str, context: Sequence[str], answers: Sequence[str]) -> list[int]:
    stated = [i for i, fact in enumerate(context) if _states_event(fact, question)]
    named = _containing(context, answers)
    periods = {i: _dated(context[i])[1] for i in (*stated, *named)}
    pairs = [
        (event, match)
        for event in stated
        for match in named
        if match != event and _share_a_day(periods[event], periods[match])
    ]
    # An event may be stated twice, for two periods: only one of them need lead to an answer.
    events = [event for event, _ in pairs] or stated
    return list(dict.fromkeys([*events, *sorted(match for _, match in pairs)]))


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
    # Dates are dear to read, and few facts get this far.
    if not question.startswith(opening):
        return False
    # ", wh" begins "which" or "who"; a bare comma may stand in the event's own name.
    return question.startswith(f"{_dated(fact)[0][verb.end() :]}, wh", len(opening))
