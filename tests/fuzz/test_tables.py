"""Generations for the audit, and tables between stages, under thousands of damages."""

from pathlib import Path

import generations
import pytest
from mutations import mutated

from tracekd import records, tables
from tracekd.errors import TracekdError


@pytest.mark.parametrize("kind", generations.FORMATS)
@pytest.mark.parametrize(
    "count", [pytest.param(150, id="quick"), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_damaged_generations_are_an_error_or_counted(tmp_path: Path, kind: str, count: int) -> None:
    reports = 0
    for number in range(count):
        damaged = mutated(generations.FORMATS[kind], number)
        try:
            reports += generations.check(damaged, tmp_path)
        except Exception as error:
            raise AssertionError(f"case {number}: {damaged[:400]!r}") from error
    assert reports > count / 50


@pytest.mark.parametrize(
    "count", [pytest.param(400, id="quick"), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_a_damaged_table_is_an_error(tmp_path: Path, count: int) -> None:
    path = tmp_path / "test.parquet"
    tables.write(generations.QUESTIONS, path, records.DECOMPOSED)
    raw = path.read_bytes()
    for number in range(count):
        damaged = mutated(raw, number)
        path.write_bytes(damaged)
        try:
            table = tables.read(path, records.DECOMPOSED)
        except TracekdError as error:
            assert "test.parquet" in str(error)
            continue
        except BaseException as error:
            raise AssertionError(f"case {number}") from error
        assert damaged == raw, f"case {number}"
        assert table.equals(generations.QUESTIONS)
