"""The comparisons of `tracekd.scoring.attempt` on whole columns, an order of magnitude faster.

What they mean is said there alone. Polars and Python agree on lower case but for letters that one
of them does not know yet and for the end of Greek words, so what is not written in Latin letters is
left to `normalise` itself.
"""

from typing import Literal

import polars as pl

from tracekd.scoring.attempt import normalise
from tracekd.traces.grammar import one_lined

# All but Unicode's first blocks, of Latin letters, and the quotes, dashes and spaces of print.
_NOT_LATIN = r"[^\x00-\x{24F}\x{2000}-\x{206F}]"
_PUNCTUATION = r"[!-/:-@\[-`{-~]"


def normalised(texts: pl.Series) -> pl.Series:
    """Return `normalise` of each text; null for null."""
    text = pl.col(texts.name)
    kept = text.str.to_lowercase().str.replace_all(_PUNCTUATION, "")
    bare = texts.to_frame().select(one_lined(kept)).to_series()
    others = texts.str.contains(_NOT_LATIN).arg_true()
    return bare.scatter(others, [normalise(text) for text in texts[others]])


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
