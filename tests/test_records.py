from pathlib import Path

import polars as pl
import pytest

from tracekd.errors import TracekdError
from tracekd.records import (
    PREDICTIONS,
    PROBES,
    QUESTIONS,
    SCORES,
    check,
    check_questions,
    read,
    write,
)

ROW = {
    "id": "q/1",
    "sample": 0,
    "text": "<answer>x</answer>",
    "finish_reason": "stop",
    "prompt_tokens": 9,
    "completion_tokens": 4,
}


def predictions(*rows: dict[str, object]) -> pl.DataFrame:
    return pl.DataFrame([ROW | row for row in rows], schema=dict(PREDICTIONS))


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (predictions({}, {"sample": 1}, {}), "duplicate id and sample 'q/1' 0"),
        (predictions({"text": None}), "row 0: text is null"),
        (predictions({}).drop("text"), "missing: \\['text'\\]"),
        (predictions({}).with_columns(more=pl.lit(1.0)), "unknown: \\['more'\\]"),
        (
            predictions({}).with_columns(pl.col("prompt_tokens").cast(pl.Int64)),
            "prompt_tokens has type Int64, expected Int32",
        ),
    ],
)
def test_what_does_not_fit_is_named(table: pl.DataFrame, message: str) -> None:
    with pytest.raises(TracekdError, match=f"^here: .*{message}"):
        check(table, PREDICTIONS, "here")


def test_the_parts_of_a_metric_are_further_columns_of_the_scores() -> None:
    table = pl.DataFrame(schema=dict(SCORES) | {"rouge_l": pl.Float64})
    assert "rouge_l" in check(table, SCORES, "here", extra=True).columns
    with pytest.raises(TracekdError, match="column rouge_l has type String, expected Float64"):
        check(table.with_columns(pl.col("rouge_l").cast(pl.String)), SCORES, "here", extra=True)


def test_a_question_has_one_row_for_each_probe() -> None:
    row = {"id": "q/1", "trace": "", "text": "x", "finish_reason": "stop"} | dict.fromkeys(
        ("trace_tokens", "completion_tokens", "gold_tokens"), 1
    )
    rows = [row | {"probe": probe} for probe in ("own", "gold", "own")]
    table = pl.DataFrame(rows, schema=dict(PROBES))
    assert check(table[:2], PROBES, "here").height == 2
    with pytest.raises(TracekdError, match="here: duplicate id and probe 'q/1' 'own'"):
        check(table, PROBES, "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"context": []}, "has no context"),
        ({"answers": []}, "has no answer"),
        (
            {"gold_facts": [0, 2]},
            "has gold facts outside its context; found gold facts .0, 2. of 2 facts",
        ),
        ({"gold_facts": [-1]}, "has gold facts outside its context"),
    ],
)
def test_a_question_that_cannot_be_used_is_named(change: dict[str, object], message: str) -> None:
    row = dict.fromkeys(QUESTIONS, "x") | {"context": ["a", "b"], "answers": ["a"]}
    whole = [row | {"gold_facts": facts} for facts in (None, [], [0, 1])]
    check_questions(pl.DataFrame(whole, schema=dict(QUESTIONS)), "here")
    faulty = pl.DataFrame(
        [*whole, row | {"id": "q/9", "gold_facts": None} | change], schema=dict(QUESTIONS)
    )
    with pytest.raises(TracekdError, match=f"^here: q/9 .x. {message}"):
        check_questions(faulty, "here")


def test_a_table_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path, table = tmp_path / "data" / "p.parquet", predictions({}, {"id": "q/2"})
    write(table.select(reversed(table.columns)), path, PREDICTIONS)
    assert read(path, PREDICTIONS).equals(table)
    assert [entry.name for entry in path.parent.iterdir()] == ["p.parquet"]
    with pytest.raises(TracekdError, match="duplicate"):
        write(predictions({}, {}), path, PREDICTIONS)
    assert read(path, PREDICTIONS).equals(table)


def test_a_missing_or_damaged_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match=r"none\.parquet: no such file; run the pipeline"):
        read(tmp_path / "none.parquet", PREDICTIONS)
    path = tmp_path / "p.parquet"
    write(predictions({}), path, PREDICTIONS)
    with pytest.raises(TracekdError, match="not a Parquet file"):
        read(tmp_path, PREDICTIONS)
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(TracekdError, match=r"p\.parquet: not a Parquet file .*dvc repro"):
        read(path, PREDICTIONS)
