"""Any questions, in any script, written in a raw format and read: the same questions come out."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tracekd.datasets import UNANSWERABLE
from tracekd.datasets.fields import is_blank
from tracekd.datasets.readers import babi, cotemp, jsonl, marco

#: All planes, right-to-left and zero-width characters, but no half of a surrogate pair.
TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
SEEN = TEXT.map(str.strip).filter(lambda text: not is_blank(text))
#: A bAbI file cannot contain a tab or a line break within a line.
LINE = SEEN.filter(lambda text: not set(text) & set("\t\r\n"))
ITEM = LINE.map(lambda text: text.replace(",", "").strip()).filter(lambda text: not is_blank(text))


def questions(fact, answer):
    """Context, question and answers of some questions."""
    facts = st.lists(fact, min_size=1, max_size=4)
    answers = st.lists(answer, min_size=1, max_size=3)
    return st.lists(st.tuples(facts, fact, answers), min_size=2, max_size=4)


ENDS = st.sampled_from(["\n", "\r\n"])
quickly = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])


def rows(loaded):
    assert not loaded.rejected
    return [row for table in loaded.splits.values() for row in table.to_dicts()]


@quickly
@given(questions(LINE, ITEM), ENDS, st.booleans())
def test_babi(tmp_path, stories, end, mark):
    text = "\ufeff" * mark
    for facts, question, answers in stories:
        lines = [*facts, f"{question}\t{','.join(answers)}\t{len(facts)}"]
        text += "".join(f"{number} {line}{end}" for number, line in enumerate(lines, 1))
    for split in ("train", "test"):
        path = tmp_path / f"qa1_single-supporting-fact_{split}.txt"
        path.write_bytes(text.encode())
    found = rows(babi.read(tmp_path, {"tasks": [1]}))
    assert [(row["context"], row["question"], row["answers"]) for row in found] == 2 * stories
    assert [row["gold_facts"] for row in found] == 2 * [[len(facts) - 1] for facts, *_ in stories]


def in_cotemp(number, facts, question, answers):
    named = {"index": number, "triple_element": "S1_R1_O1", "question": question}
    return named | {"facts": facts, "answer": answers}


def in_jsonl(number, facts, question, answers):
    record = {"question": question, "context": facts, "answers": answers, "class": question}
    return record | {"gold_facts": facts[-1:], "split": "train" if number else "test"}


@pytest.mark.parametrize("written", [in_cotemp, in_jsonl])
@quickly
@given(questions(SEEN, SEEN), ENDS, st.booleans())
def test_cotemp_and_jsonl(tmp_path, written, asked, end, ascii_only):
    records = [written(number, *each) for number, each in enumerate(asked)]
    lines = [json.dumps(record, ensure_ascii=ascii_only) for record in records]
    path = tmp_path / "equal.json"
    path.write_bytes(end.join(lines).encode())
    jsonl_read = written == in_jsonl
    loaded = jsonl.read(path, {}) if jsonl_read else cotemp.read(tmp_path, {"classes": ["equal"]})
    found = {row["source"]: row for row in rows(loaded)}
    assert len(found) == len(records)
    for number, (facts, question, answers) in enumerate(asked, 1):
        row = found[f"equal.json:{number}"]
        assert (row["context"], row["question"]) == (facts, question)
        assert row["answers"] == list(dict.fromkeys(answers))
        if jsonl_read:
            assert [facts[index] for index in row["gold_facts"]] == facts[-1:]


def as_lines(records):
    return "".join(json.dumps(record) + "\n" for record in records)


def as_columns(records):
    columns = {key: {str(n): record[key] for n, record in enumerate(records)} for key in records[0]}
    return json.dumps(columns)


@pytest.mark.parametrize("written", [as_lines, as_columns, json.dumps])
@quickly
@given(questions(SEEN, SEEN), st.booleans())
def test_marco(tmp_path, written, records, parallel):
    raw = []
    for number, (texts, query, answers) in enumerate(records):
        listed = [{"passage_text": text, "is_selected": 0} for text in texts]
        passages = {"passage_text": texts, "is_selected": [0] * len(texts)} if parallel else listed
        record = {"query_id": number, "query": query, "query_type": "NUMERIC"}
        raw.append(record | {"answers": answers if number else "[]", "passages": passages})
    for split in ("train", "dev"):
        (tmp_path / f"{split}.json").write_text(written(raw), encoding="utf-8")
    found = rows(marco.read(tmp_path, {}))
    assert len(found) == 2 * len(records)
    for number, row in enumerate(found):
        texts, query, answers = records[number % len(records)]
        expected = list(dict.fromkeys(answers)) if number % len(records) else [UNANSWERABLE]
        assert (row["context"], row["question"], row["answers"]) == (texts, query, expected)
