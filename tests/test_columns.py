import polars as pl
from hypothesis import given
from hypothesis import strategies as st

from tracekd.columns import lists


@given(st.lists(st.none() | st.lists(st.text(max_size=3), max_size=3)))
def test_a_column_of_lists_is_what_the_library_makes_of_them(
    values: list[list[str] | None],
) -> None:
    dtype = pl.List(pl.String)
    assert lists("facts", values, dtype).equals(
        pl.Series("facts", values, dtype), check_dtypes=True, check_names=True
    )


def test_numbers_have_the_type_asked_for() -> None:
    assert lists("places", [(1,), ()], pl.List(pl.Int32)).dtype == pl.List(pl.Int32)
