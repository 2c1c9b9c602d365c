"""Near-duplicates between splits: what a student might remember instead of working it out.

Contexts are compared as sets of shingles, runs of five words, by Jaccard similarity: shared
shingles over the shingles of both. An inverted index finds the pairs that share any.
"""

import re
from collections import Counter, defaultdict
from itertools import zip_longest
from typing import Any

import polars as pl

SIMILAR = 0.8
#: How many pairs the report lists.
LISTED = 20
_SHINGLE = 5
_WORD = re.compile(r"\w+")


def near_duplicates(test: pl.DataFrame, train: pl.DataFrame) -> dict[str, Any]:
    """Return how many test questions have a near-duplicate in train, both being `QUESTIONS`.

    `same_question`: test questions with a train question of the same words and a similar context;
    `same_context`: those with a train question of a similar context, whatever the question. Of each
    the count, and for the first of them [test id, id of the first such train question, similarity].
    """
    texts = [_shingles(" ".join(context)) for context in test["context"]]
    questions = [_words(question) for question in test["question"]]
    tests_with: dict[int, list[int]] = defaultdict(list)
    for row, text in enumerate(texts):
        for shingle in text:
            tests_with[shingle].append(row)

    found: dict[str, dict[int, list[Any]]] = {"same_question": {}, "same_context": {}}
    for key, question, context in train.select("id", "question", "context").iter_rows():
        other, words = _shingles(" ".join(context)), _words(question)
        shared = Counter(row for shingle in other for row in tests_with.get(shingle, ()))
        for row, count in shared.items():
            similarity = count / (len(texts[row]) + len(other) - count)
            if similarity >= SIMILAR:
                pair = [test["id"][row], key, round(similarity, 3)]
                found["same_context"].setdefault(row, pair)
                if questions[row] == words:
                    found["same_question"].setdefault(row, pair)
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
