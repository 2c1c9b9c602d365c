"""The key of a question: all that splits are made from, a fiftieth of the question itself."""

import hashlib
from collections.abc import Sequence

import polars as pl

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
    text = "\n".join([_canonical(text) for text in (question, *context)])
    return hashlib.blake2b(text.encode(), digest_size=16).digest()


def _canonical(text: str) -> str:
    # Most texts are on one line already, which is cheaper to see than to make.
    if not text.isprintable() or "  " in text or text.strip() != text:
        text = one_line(text)
    return text.lower()
