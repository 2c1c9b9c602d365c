import io
from collections.abc import Sequence
from pathlib import Path

import polars as pl
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekd.parquet import joined

SCHEMA = {"text": pl.String, "facts": pl.List(pl.String), "number": pl.Float64, "right": pl.Boolean}
ROWS = st.fixed_dictionaries(
    {
        "text": st.none() | st.sampled_from(["same", "other"]) | st.text(max_size=300),
        "facts": st.none() | st.lists(st.text(max_size=9), max_size=20),
        "number": st.none() | st.floats(allow_nan=False),
        "right": st.none() | st.booleans(),
    }
)


def table(rows: Sequence[object]) -> pl.DataFrame:
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")


def file(part: pl.DataFrame, **options: object) -> bytes:
    made = io.BytesIO()
    part.write_parquet(made, **options)  # type: ignore[arg-type]
    return made.getvalue()


@settings(deadline=None)
@given(
    parts=st.lists(st.lists(ROWS, max_size=5), min_size=1, max_size=20),
    options=st.fixed_dictionaries(
        {
            "compression": st.sampled_from(["zstd", "uncompressed"]),
            "statistics": st.booleans(),
            "row_group_size": st.sampled_from([2, 100]),
        }
    ),
)
def test_what_is_joined_holds_the_rows_of_all_in_order(
    parts: list[list[object]], options: dict[str, object]
) -> None:
    tables = [table(part) for part in parts]
    made = b"".join(joined(file(part, **options) for part in tables))
    whole = pl.concat(tables)
    assert pl.read_parquet(io.BytesIO(made)).equals(whole)
    assert pyarrow.parquet.read_table(io.BytesIO(made)).to_pylist() == whole.to_dicts()


def test_any_range_of_rows_is_read_from_what_is_joined(tmp_path: Path) -> None:
    parts = [table([("a" * size, ["b"] * size, None, True)] * size) for size in (3, 1, 40)]
    path = tmp_path / "joined.parquet"
    path.write_bytes(b"".join(joined(map(file, parts))))
    for start in range(44):
        read = pl.scan_parquet(path).slice(start, 2).collect()
        assert read.equals(pl.concat(parts)[start : start + 2])


def test_the_last_bytes_are_the_footer() -> None:
    *_, footer = joined([file(table([]))])
    assert footer.endswith(b"PAR1")
    assert int.from_bytes(footer[-8:-4], "little") == len(footer) - 8


def test_files_of_other_programs_are_joined_too() -> None:
    source = table([("a", ["b"], 1.0, True)]).to_arrow()
    made = io.BytesIO()
    pyarrow.parquet.write_table(source, made, write_page_index=True, version="2.6")
    whole = b"".join(joined([made.getvalue()] * 2))
    assert pyarrow.parquet.read_table(io.BytesIO(whole)).num_rows == 2
    assert pyarrow.parquet.ParquetFile(io.BytesIO(whole)).read_row_group(1).equals(source)


@pytest.mark.parametrize("groups", [1, 14, 15, 300])
def test_there_may_be_any_number_of_row_groups(groups: int) -> None:
    whole = b"".join(joined([file(table([("a", [], 0.0, False)]))] * groups))
    metadata = pyarrow.parquet.read_metadata(io.BytesIO(whole))
    assert (metadata.num_rows, metadata.num_row_groups) == (groups, groups)
    assert [metadata.row_group(row).num_rows for row in range(groups)] == [1] * groups
