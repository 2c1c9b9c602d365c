"""Columns made of Python's objects."""

from collections.abc import Sequence
from typing import Any

import polars as pl


def column(name: str, values: Sequence[Any], dtype: pl.DataType | type[pl.DataType]) -> pl.Series:
    """Return a column; lists as `lists` makes them."""
    if isinstance(dtype, pl.List):
        return lists(name, values, dtype)
    return pl.Series(name, values, dtype)


def lists(name: str, values: Sequence[Sequence[object] | None], dtype: pl.List) -> pl.Series:
    """Return a column of lists; None becomes null.

    What polars itself does takes ten times as long: it makes a column of each list first.

    Args:
        name: of the column.
        values: no item of theirs is None.
        dtype: of the column.
    """
    items = [
        (row, item)
        for row, value in enumerate(values)
        if value is not None
        for item in (value or (None,))
    ]
    made = (
        pl.DataFrame(items, schema={"row": pl.UInt32, name: dtype.inner}, orient="row")
        .group_by("row", maintain_order=True)
        .agg(pl.col(name).drop_nulls())
    )
    rows = pl.DataFrame({"row": pl.arange(len(values), dtype=pl.UInt32, eager=True)})
    return rows.join(made, on="row", how="left", maintain_order="left")[name]
