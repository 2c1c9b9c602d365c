"""Near-duplicates between splits: what a student might remember instead of working it out.

Contexts are compared as sets of shingles, runs of five words, by Jaccard similarity: shared
shingles over the shingles of both. Not all pairs are compared: two sets with a similarity of at
least t share one of their ⌊(1 - t) n⌋ + 1 rarest shingles (prefix filtering; Chaudhuri et al. 2006,
doi:10.1109/ICDE.2006.9), so an inverted index of those finds all similar pairs.
"""

import math
import re
from collections import Counter
from itertools import zip_longest
from typing import Any

import polars as pl

SIMILAR = 0.8
#: How many pairs the report lists.
LISTED = 20
_SHINGLE = 5
_WORD = re.compile(r"\w+")


def near_duplicates(test: pl.DataFrame, train: pl.DataFrame) -> dict[str, Any]:
    """Return how many test questions have a near-duplicate in train.

    Args:
        test: in the schema `tracekd.records.QUESTIONS`.
        train: likewise; its exact copies of test questions are no longer in it.

    Returns:
        `same_question`: test questions with a train question of the same words and a similar
        context; `same_context`: those with a train question of a similar context, whatever the
        question. Of each the count, and for the first of them [test id, id of the first such train
        question, similarity].
    """
    texts = [_shingles(" ".join(context)) for context in test["context"]]
    questions = [_words(question) for question in test["question"]]
    frequency = Counter(shingle for text in texts for shingle in text)
    index: dict[int, list[int]] = {}
    for row, text in enumerate(texts):
        for shingle in _rarest(text, frequency):
            index.setdefault(shingle, []).append(row)

    found: dict[str, dict[int, list[Any]]] = {"same_question": {}, "same_context": {}}
    for key, question, context in train.select("id", "question", "context").iter_rows():
        other = _shingles(" ".join(context))
        words = _words(question)
        rows = {row for shingle in _rarest(other, frequency) for row in index.get(shingle, ())}
        for row in rows:
            kinds = ["same_context"] + ["same_question"] * (questions[row] == words)
            if all(row in found[kind] for kind in kinds):
                continue
            shared = len(texts[row] & other)
            similarity = shared / (len(texts[row]) + len(other) - shared)
            if similarity >= SIMILAR:
                for kind in kinds:
                    pair = [test["id"][row], key, round(similarity, 3)]
                    found[kind].setdefault(row, pair)
    report: dict[str, Any] = {"shingle_words": _SHINGLE, "similarity": SIMILAR}
    for kind, pairs in found.items():
        first = [pairs[row] for row in sorted(pairs)[:LISTED]]
        report[kind] = {"test_questions": len(pairs), "first": first}
    return report


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower()) or [""]


def _shingles(text: str) -> frozenset[int]:
    """Return a hash of the run that starts at each word; those at the end are shorter."""
    words = _words(text)
    return frozenset(map(hash, zip_longest(*(words[start:] for start in range(_SHINGLE)))))


def _rarest(text: frozenset[int], frequency: Counter[int]) -> list[int]:
    """Return the shingles of which a similar text shares at least one."""
    size = math.floor((1 - SIMILAR) * len(text) + 1e-9) + 1
    # Those of no test question are the rarest, and find none.
    known = text & frequency.keys()
    size = max(0, size - (len(text) - len(known)))
    return sorted(known, key=lambda shingle: (frequency[shingle], shingle))[:size]
