"""The key of a question: all that splits are made from, a fiftieth of the question itself."""

import hashlib
from collections.abc import Sequence

import polars as pl

from tracekd.randomness import digest
from tracekd.text import one_line

#:   identity  equal for questions with equal question and context (letter case and white space
#:             make no difference, as in a prompt)
KEYS = {"id": pl.String, "question_class": pl.String, "identity": pl.Binary}


def keys(questions: pl.DataFrame) -> pl.DataFrame:
    """Return the keys of a table of `tracekd.records.QUESTIONS`."""
    texts = questions.select("question", "context").iter_rows()
    return questions.select("id", "question_class").with_columns(
        identity=pl.Series([identity(*text) for text in texts], dtype=pl.Binary)
    )


def identity(question: str, context: Sequence[str]) -> bytes:
    r"""Return 128 bits that are equal for equal questions.

    >>> identity("Who?", ["Mary."]) == identity("who? ", ["MARY.\n"])
    True
    >>> identity("Who?", ["a", "b"]) == identity("Who?", ["a b"])
    False
    """
    text = "\n".join(map(one_line, (question, *context))).lower()
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def held_out(keys: pl.DataFrame, share: float, *key: str) -> pl.Series:
    """Return which rows make a test split where upstream has none: always the same questions.

    They are a share of each class, at least one question, by a hash of `key` and the id.
    """
    hashes = pl.Series([digest(*key, name) for name in keys["id"]], dtype=pl.UInt64)
    rank = pl.col("hash").rank("ordinal").over("question_class")
    size = (pl.len() * share).round().clip(lower_bound=1).over("question_class")
    return keys.with_columns(hash=hashes).select(rank <= size).to_series()
