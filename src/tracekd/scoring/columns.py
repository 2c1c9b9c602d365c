"""The comparisons of `tracekd.scoring.attempt` on whole columns, an order of magnitude faster.

What they mean is said there alone. A column is normalised as one string of bytes, in UTF-8. Bytes
know no letters but ASCII's, so texts with other letters that `normalise` changes are left to it.
"""

import string
from typing import Literal

import polars as pl

from tracekd.scoring.attempt import normalise

_PUNCTUATION = string.punctuation.encode()
#: What becomes of each byte: ASCII in lower case, its white space as a space; a line break, between
#: texts, stays.
_LOWER = bytes(
    ord(" ") if chr(code).isspace() and code < 0x80 and chr(code) != "\n" else code
    for code in bytes(range(0x100)).lower()
)
_ASCII = bytes(code for code in range(0x80) if chr(code) != "\n")
#: Beyond ASCII: all but Latin letters, quotes and dashes that stay as they are.
_CHANGING = "[^{}]".format(
    "".join(
        letter
        for letter in map(chr, (*range(0x80, 0x250), *range(0x2000, 0x2070)))
        if letter.lower() == letter and not letter.isspace()
    )
)


def normalised(texts: pl.Series) -> pl.Series:
    """Return `normalise` of each text; null for null."""
    # Line breaks are white space, so that they can stand between texts instead.
    lines = texts.fill_null("").str.replace_all("\n", " ", literal=True)
    raw: bytes = lines.str.join("\n").cast(pl.Binary).item()
    bare = _lines_of(raw.translate(_LOWER, _PUNCTUATION), len(texts))
    bare = bare.str.replace_all(" {2,}", " ").str.strip_chars(" ")
    others = _lines_of(raw.translate(None, _ASCII), len(texts)).str.contains(_CHANGING).arg_true()
    bare = bare.scatter(others, [normalise(text) for text in texts[others]])
    return bare.set(texts.is_null(), None).alias(texts.name)


def _lines_of(raw: bytes, count: int) -> pl.Series:
    return pl.Series([raw]).cast(pl.String).str.split("\n").explode().head(count)


def state(texts: pl.Series, items: pl.Series, which: Literal["all", "any"]) -> pl.Series:
    """Return whether each row's texts state its items, as `answer_in_facts` has it.

    Args:
        texts: (rows,) lists of strings; null for rows of which nothing can be said.
        items: (rows,) lists of strings.
        which: all items, or any.

    Returns:
        (rows,) booleans; null where texts are null.
    """
    rows = pl.DataFrame({"lines": _lines(texts), "item": items}).with_row_index("row")
    rows = rows.explode("item", empty_as_null=True, keep_nulls=True)
    item = normalised(rows["item"])
    table = rows.with_columns(item=" " + item + " ", blank=item == "")
    stands = pl.col("lines").str.contains(pl.col("item"), literal=True) & ~pl.col("blank")
    stated = {"all": stands.all(), "any": stands.any()}[which]
    found = table.group_by("row", maintain_order=True).agg(stated=stated)["stated"]
    return pl.select(pl.when(texts.is_not_null()).then(found)).to_series()


def _lines(texts: pl.Series) -> pl.Series:
    """Return the texts of each row, normalised, between spaces, as the lines of one."""
    rows = (
        pl.DataFrame({"text": texts})
        .with_row_index("row")
        .explode("text", empty_as_null=True, keep_nulls=True)
    )
    padded = rows.with_columns(text=" " + normalised(rows["text"]) + " ")
    # No text has a line break once normalised, so that nothing is found across two of them.
    return padded.group_by("row", maintain_order=True).agg("text")["text"].list.join("\n")
