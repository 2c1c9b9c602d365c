"""Columns made of Python's objects."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import numpy as np
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
    # None stands for "no item": else a list without items would leave no trace.
    present = [row for row, value in enumerate(values) if value is not None]
    padded = [values[row] or (None,) for row in present]
    rows_of_items = np.repeat(np.array(present, dtype=np.uint32), list(map(len, padded)))
    items = pl.Series(name, list(chain.from_iterable(padded)), dtype.inner)
    made = (
        pl.DataFrame([pl.Series("row", rows_of_items), items])
        .group_by("row", maintain_order=True)
        .agg(pl.col(name).drop_nulls())
    )
    rows = pl.DataFrame({"row": pl.arange(len(values), dtype=pl.UInt32, eager=True)})
    return rows.join(made, on="row", how="left", maintain_order="left")[name]
