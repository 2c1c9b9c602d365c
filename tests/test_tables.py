from collections.abc import Callable
from pathlib import Path

import polars as pl
import pyarrow.parquet
import pytest

from tracekd.errors import TracekdError
from tracekd.records import PREDICTIONS, Schema
from tracekd.tables import height, part_starts, read, read_column, write, write_parts

ROW = {
    "id": "q/1",
    "text": "<answer>x</answer>",
    "finish_reason": "stop",
    "prompt_tokens": 9,
    "completion_tokens": 4,
}


def predictions(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([ROW | row for row in rows], schema=dict(PREDICTIONS))


def write_in_parts(table: pl.DataFrame, path: Path, schema: Schema) -> None:
    write_parts([table[:1], table[1:]], path, schema)


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "data" / "predictions.parquet"
    table = predictions({}, {"id": "q/2"})
    write(table, path, PREDICTIONS)
    assert read(path, PREDICTIONS).equals(table)
    assert [entry.name for entry in path.parent.iterdir()] == ["predictions.parquet"]


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match=r"none\.parquet: no such file; run the stage"):
        read(tmp_path / "none.parquet", PREDICTIONS)


@pytest.mark.parametrize("whole", [write, write_in_parts])
def test_every_damaged_or_missing_byte_is_found_out(
    whole: Callable[..., None], tmp_path: Path
) -> None:
    path = tmp_path / "p.parquet"
    whole(predictions({}), path, PREDICTIONS)
    raw = path.read_bytes()
    for place in range(len(raw)):
        flipped = raw[:place] + bytes([raw[place] ^ 1]) + raw[place + 1 :]
        for damaged in (flipped, raw[:place], raw[:place] + raw[place + 1 :]):
            path.write_bytes(damaged)
            with pytest.raises(TracekdError, match=r"p\.parquet: damaged, .* run the stage"):
                read(path, PREDICTIONS)


@pytest.mark.parametrize(
    "look", [height, part_starts, lambda path: read_column(path, PREDICTIONS, "id")]
)
def test_damage_is_found_out_before_a_part_is_read(
    look: Callable[[Path], object], tmp_path: Path
) -> None:
    path = tmp_path / "p.parquet"
    write(predictions({}), path, PREDICTIONS)
    look(path)
    path.write_bytes(path.read_bytes()[::-1])
    with pytest.raises(TracekdError, match="damaged"):
        look(path)


def test_a_table_of_another_program_is_refused(tmp_path: Path) -> None:
    predictions({}).write_parquet(tmp_path / "other.parquet")
    with pytest.raises(TracekdError, match="no table of this program's"):
        read(tmp_path / "other.parquet", PREDICTIONS)


def test_other_programs_read_the_tables(tmp_path: Path) -> None:
    write(predictions({}), tmp_path / "p.parquet", PREDICTIONS)
    assert pyarrow.parquet.read_table(tmp_path / "p.parquet").to_pylist() == [ROW]


def test_a_table_that_does_not_fit_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(TracekdError):
        write(predictions({}, {}), tmp_path / "p.parquet", PREDICTIONS)
    assert list(tmp_path.iterdir()) == []
