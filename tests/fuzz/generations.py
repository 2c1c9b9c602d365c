"""Generations of others as the audit takes them, and what holds of every such file."""

import json
from pathlib import Path
from typing import Any

import polars as pl

from tracekd import records
from tracekd.audit import rescore as audit
from tracekd.audit.generations import read_sets
from tracekd.config import load_dataset
from tracekd.datasets.rawtext import BYTE_ORDER_MARK
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
#: How each may be written -> whole files.
FORMATS = {
    kind: "".join(json.dumps(row) + "\n" for row in rows).encode()
    for kind, rows in {"released": RELEASED, "plain": PLAIN}.items()
}
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
            "gold_facts": [0],
            "answer_in_facts": True,
        }
        for row in PLAIN
    ],
    schema=dict(records.DECOMPOSED),
)


def audited(path: Path) -> dict[str, Any]:
    """Read generations as the audit does, and let it report on them."""
    found = read_sets([path])
    plain = any(item.row is None for item in found[0].items.values())
    spec = load_dataset(ROOT / "datasets.yaml", "babi" if plain else "cotemp")
    return audit.audit(found, spec, questions=QUESTIONS if plain else None)


def check(raw: bytes, folder: Path) -> bool:
    """Audit a file; return whether that came to a report rather than an error for the user.

    Raises:
        AssertionError: if a line of the file is not accounted for.
    """
    path = folder / "equal.jsonl"
    path.write_bytes(raw)
    try:
        report = audited(path)
    except TracekdError as error:
        assert str(error).encode()
        assert len(str(error)) < 1000, str(error)[:2000]
        return False
    json.dumps(report, allow_nan=False, ensure_ascii=False).encode()
    for found in report.values():
        asked = found["questions"]
        lines = sum(bool(line.strip()) for line in raw.removeprefix(BYTE_ORDER_MARK).split(b"\n"))
        told = asked["scored"] + asked["duplicated"]["count"] + asked["unknown"]["count"]
        assert told == lines or b'{"' not in raw
    return True
