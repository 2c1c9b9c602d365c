"""Generations for the audit, and tables between stages, under thousands of damages."""

import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from mutations import mutated

from tracekd import audit, records, tables
from tracekd.config import load_dataset
from tracekd.errors import TracekdError

ROOT = Path(__file__).resolve().parents[2]
RELEASED = [
    {
        "question": f"While Ann was a member of the Party {number}, where did Ann work?",
        "facts": ["Ann works for Yale from 1990 to May, 1995.", "Ann attended Oslo in 1991."],
        "gold": ["Yale"],
        "prediction": "<think>The temporal relation between the event in question and the event in "
        "context is: equal.</think> <answer>['Yale']</answer>",
        "triple_element": "S1_R1_O2",
    }
    for number in range(3)
]
PLAIN = [{"id": f"babi/test/qa1:{number}", "text": "<answer>den</answer>"} for number in (3, 6, 9)]
QUESTIONS = pl.DataFrame(
    [
        {
            "id": row["id"],
            "question": "Where is Mary?",
            "context": ["Mary moved to the den.", "John left. \U0001f600"],
            "answers": ["den"],
            "question_class": "single-supporting-fact",
            "subtype": None,
            "gold_facts": [0],
            "source": "en/qa1.txt:3",
            "step_facts": [0],
            "answer_in_facts": True,
        }
        for row in PLAIN
    ],
    schema=dict(records.DECOMPOSED),
)


def audited(path: Path) -> dict[str, Any]:
    """Read generations as the audit does, and let it report on them."""
    found = audit.read_sets([path])
    plain = any(item.row is None for item in found[0].items.values())
    spec = load_dataset(ROOT / "datasets.yaml", "babi" if plain else "cotemp")
    return audit.audit(found, spec, questions=QUESTIONS if plain else None)


@pytest.mark.parametrize("kind", ["released", "plain"])
@pytest.mark.parametrize(
    "count", [pytest.param(150, id="quick"), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_damaged_generations_are_an_error_or_counted(tmp_path: Path, kind: str, count: int) -> None:
    rows = RELEASED if kind == "released" else PLAIN
    raw = "".join(json.dumps(row) + "\n" for row in rows).encode()
    path = tmp_path / "equal.jsonl"
    reports = 0
    for number in range(count):
        damaged = mutated(raw, number)
        path.write_bytes(damaged)
        try:
            report = audited(path)
        except TracekdError as error:
            assert str(error).encode()
            assert len(str(error)) < 1000, f"case {number}: {str(error)[:2000]}"
            continue
        except Exception as error:
            raise AssertionError(f"case {number}: {damaged[:400]!r}") from error
        reports += 1
        json.dumps(report, allow_nan=False, ensure_ascii=False).encode()
        for found in report.values():
            asked = found["questions"]
            lines = sum(bool(line.strip()) for line in damaged.split(b"\n"))
            told = asked["scored"] + asked["duplicated"]["count"] + asked["unknown"]["count"]
            assert told == lines or b'{"' not in damaged, f"case {number}"
    assert reports > count / 50


@pytest.mark.parametrize(
    "count", [pytest.param(400, id="quick"), pytest.param(100_000, marks=pytest.mark.slow)]
)
def test_a_damaged_table_is_an_error(tmp_path: Path, count: int) -> None:
    path = tmp_path / "test.parquet"
    tables.write(QUESTIONS, path, records.DECOMPOSED)
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
        assert table.equals(QUESTIONS)
