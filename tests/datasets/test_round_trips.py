"""Any records, of any script, rendered in a raw format and read: the same questions come out."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracekd.datasets import UNANSWERABLE, Loaded, Wanted
from tracekd.datasets.fields import is_blank
from tracekd.datasets.readers import babi, cotemp, marco

WANTED = Wanted(data_seed=0, train=None, test=None)
#: All planes, right-to-left and zero-width characters, but no half of a surrogate pair.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SEEN = TEXT.map(str.strip).filter(lambda text: not is_blank(text))
#: A bAbI file has no way to write a tab or a line end.
LINE = SEEN.filter(lambda text: not set(text) & set("\t\r\n"))
ITEM = LINE.map(lambda text: text.replace(",", "").strip()).filter(lambda text: not is_blank(text))

quickly = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def rows(loaded: Loaded) -> list[dict[str, Any]]:
    assert not loaded.rejected
    return [row for table in loaded.splits.values() for row in table.to_dicts()]


@quickly
@given(
    st.lists(
        st.tuples(
            st.lists(LINE, min_size=1, max_size=4), LINE, st.lists(ITEM, min_size=1, max_size=3)
        ),
        min_size=1,
        max_size=3,
    ),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_babi(tmp_path: Path, stories: list[Any], end: str, mark: bool) -> None:
    text = "\ufeff" * mark
    for facts, question, answers in stories:
        lines = [*facts, f"{question}\t{','.join(answers)}\t{len(facts)}"]
        text += "".join(f"{number} {line}{end}" for number, line in enumerate(lines, 1))
    for split in ("train", "test"):
        path = tmp_path / f"qa1_single-supporting-fact_{split}.txt"
        path.write_bytes(text.encode())
    found = rows(babi.read(tmp_path, {"tasks": [1]}, WANTED))
    assert [(row["context"], row["question"], row["answers"]) for row in found] == 2 * stories
    assert [row["gold_facts"] for row in found] == 2 * [[len(facts) - 1] for facts, _, _ in stories]


RECORDS = st.lists(
    st.tuples(st.lists(SEEN, min_size=1, max_size=4), SEEN, st.lists(SEEN, min_size=1, max_size=3)),
    min_size=1,
    max_size=4,
)


@pytest.mark.parametrize("ascii_only", [True, False])
@quickly
@given(RECORDS, st.sampled_from(["\n", "\r\n", "\n\n"]))
def test_cotemp(tmp_path: Path, ascii_only: bool, records: list[Any], end: str) -> None:
    lines = [
        json.dumps(
            {
                "index": n,
                "triple_element": "S1_R1_O1",
                "question": question,
                "facts": facts,
                "answer": gold,
            },
            ensure_ascii=ascii_only,
        )
        for n, (facts, question, gold) in enumerate(records)
    ]
    (tmp_path / "equal.json").write_bytes(end.join(lines).encode())
    found = {row["id"]: row for row in rows(cotemp.read(tmp_path, {"classes": ["equal"]}, WANTED))}
    assert len(found) == len(records)
    for number, (facts, question, gold) in enumerate(records):
        row = found[f"cotemp/all/equal:{number}"]
        assert (row["context"], row["question"]) == (facts, question)
        assert row["answers"] == list(dict.fromkeys(gold))


def as_lines(records: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def as_columns(records: list[dict[str, Any]]) -> str:
    return json.dumps(
        {key: {str(n): record[key] for n, record in enumerate(records)} for key in records[0]}
    )


@pytest.mark.parametrize("written", [as_lines, as_columns, json.dumps])
@quickly
@given(RECORDS, st.booleans())
def test_marco(
    tmp_path: Path, written: Callable[..., str], records: list[Any], parallel: bool
) -> None:
    raw = []
    for number, (texts, query, answers) in enumerate(records):
        listed: Any = [{"passage_text": text, "is_selected": 0} for text in texts]
        passages = {"passage_text": texts, "is_selected": [0] * len(texts)} if parallel else listed
        raw.append(
            {
                "query_id": number,
                "query": query,
                "query_type": "NUMERIC",
                "answers": answers if number else "[]",
                "passages": passages,
            }
        )
    for split in ("train", "dev"):
        (tmp_path / f"{split}.json").write_text(written(raw), encoding="utf-8")
    found = rows(marco.read(tmp_path, {}, WANTED))
    assert len(found) == 2 * len(records)
    for number, row in enumerate(found):
        texts, query, answers = records[number % len(records)]
        expected = list(dict.fromkeys(answers)) if number % len(records) else [UNANSWERABLE]
        assert (row["context"], row["question"], row["answers"]) == (texts, query, expected)
