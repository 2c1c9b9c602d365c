"""Rules that find a question's gold facts: the gold answer to the Information Retrieval step.

A rule takes a table of questions and returns for each the indexes of its gold facts within its
context, in the order in which a trace quotes them; none where no fact answers the question.
"""

import re
from collections.abc import Callable, Sequence

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd.datasets import UNANSWERABLE
from tracekd.datasets.intervals import Period, relation, split_fact
from tracekd.errors import TracekdError
from tracekd.words import Hashes, utf8, word_hashes

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
#: Questions whose words are compared at a time: their hashes stay in the processor's cache.
_QUESTIONS = 500
#: 2**_BITS marks for the words of so many answers.
_BITS = 17
_ODD = np.uint64(0x9E3779B97F4A7C15)
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
    asked = questions.filter(answerable).select("context", "answers")
    found = (place for part in asked.iter_slices(_QUESTIONS) for place in _closest(part))
    return [[place] if some and (place := next(found)) >= 0 else [] for some in answerable]


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


def _closest(questions: pl.DataFrame) -> list[int]:
    """Return for each question the passage that shares most words with an answer; -1 for none."""
    numbered = questions.with_row_index("question")
    answers, passages = (
        numbered.select("question", text=name).explode("text").with_row_index("place")
        for name in ("answers", "context")
    )
    wanted = _keys(answers, None).unique()
    wanted = wanted.select(
        "key", answer="place", question=answers["question"].gather(wanted["place"])
    )
    standing = _keys(passages, wanted["key"])
    best = (
        wanted.join(standing, on="key")
        .group_by("question", "answer", "place")
        .agg(shared=pl.col("key").n_unique())
        .sort("shared", "place", descending=[True, False])
        .unique("question", keep="first", maintain_order=True)
    )
    lengths = questions["context"].list.len().to_numpy().astype(np.int64)
    rows = best["question"].to_numpy()
    places = np.full(len(questions), -1)
    places[rows] = best["place"].to_numpy() - (np.cumsum(lengths) - lengths)[rows]
    closest: list[int] = places.tolist()
    return closest


def _keys(texts: pl.DataFrame, among: pl.Series | None) -> pl.DataFrame:
    """Return a key for each word, the question's and the word's own, and the place of its text.

    Args:
        texts: with the columns "question" and "text".
        among: keys; all words that have one of them are returned and few others. None: all words.
    """
    hashes, counts = word_hashes(utf8(texts["text"]))
    keys = hashes ^ np.repeat(texts["question"].to_numpy().astype(np.uint64) * _ODD, counts)
    kept = (
        np.arange(len(keys)) if among is None else np.flatnonzero(_may_be(keys, among.to_numpy()))
    )
    place = np.searchsorted(np.cumsum(counts), kept, side="right")
    return pl.DataFrame({"key": keys[kept], "place": place.astype(np.uint32)})


def _may_be(keys: Hashes, wanted: Hashes) -> NDArray[np.bool_]:
    """Return whether each key is one of `wanted`; now and then it only seems so."""
    marked = np.zeros(1 << _BITS, dtype=np.bool_)
    shift = np.uint64(64 - _BITS)
    marked[wanted >> shift] = True
    found: NDArray[np.bool_] = marked[keys >> shift]
    return found


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
