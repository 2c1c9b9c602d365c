from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.parquet
import pytest

from tracekd.errors import TracekdError
from tracekd.records import Schema
from tracekd.tables import height, part_starts, read, read_columns, write, write_parts

SCHEMA: Schema = {"id": pl.String, "facts": pl.List(pl.String)}
ROW = {"id": "q/1", "facts": ["Mary moved.", ""]}


def rows(*ids: str) -> pl.DataFrame:
    return pl.DataFrame([ROW | {"id": key} for key in ids or ("q/1",)], schema=dict(SCHEMA))


def write_in_parts(table: pl.DataFrame, path: Path, schema: Schema) -> None:
    write_parts([table[:1], table[1:]], path, schema)


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "data" / "t.parquet"
    table = rows("q/1", "q/2")
    write(table, path, SCHEMA)
    assert read(path, SCHEMA).equals(table)
    assert [entry.name for entry in path.parent.iterdir()] == ["t.parquet"]


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match=r"none\.parquet: no such file; run the stage"):
        read(tmp_path / "none.parquet", SCHEMA)


@pytest.mark.parametrize("whole", [write, write_in_parts])
def test_every_damaged_or_missing_byte_is_found_out(
    whole: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "p.parquet"
    whole(rows(), path, SCHEMA)
    raw = path.read_bytes()
    for place in range(len(raw)):
        flipped = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        for damaged in (flipped, raw[:place], raw[:place] + raw[place + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(TracekdError, match=r"p\.parquet: damaged, .* run the stage"):
                read(path, SCHEMA)


def test_chunks_that_are_digested_apart_count_in_their_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, size = tmp_path / "p.parquet", 16
    monkeypatch.setattr("tracekd.tables._CHUNK", size)
    write(rows(), path, SCHEMA)
    assert read(path, SCHEMA).equals(rows())
    raw = path.read_bytes()
    for start in range(0, 5 * size, size):
        one, other = raw[start : start + size], raw[start + size : start + 2 * size]
        path.write_bytes(raw[:start] + other + one + raw[start + 2 * size :])
        with pytest.raises(TracekdError, match="damaged"):
            read(path, SCHEMA)


@pytest.mark.parametrize("look", [height, part_starts, lambda path: read_columns(path, SCHEMA)])
def test_damage_is_found_out_before_a_part_is_read(
    look: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "p.parquet"
    write(rows(), path, SCHEMA)
    look(path)
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(TracekdError, match="damaged"):
        look(path)


def test_a_table_of_another_program_is_refused(tmp_path: Path) -> None:
    rows().write_parquet(tmp_path / "other.parquet")
    with pytest.raises(TracekdError, match="no table of this program's"):
        read(tmp_path / "other.parquet", SCHEMA)


def test_other_programs_read_the_tables(tmp_path: Path) -> None:
    write(rows(), tmp_path / "p.parquet", SCHEMA)
    assert pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist() == [ROW]


def test_a_table_that_does_not_fit_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TracekdError):
        write(rows("q/1", "q/1"), tmp_path / "p.parquet", SCHEMA)
    assert list(tmp_path.iterdir()) == []
