"""Every reader of files on damaged input: it reads, rejects by name, or refuses with an error."""

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tracekd.datasets.readers import babi, cotemp, jsonl, marco
from tracekd.errors import TracekdError

BABI = """1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Daniel went back to the hallway.
5 Where is Daniel? \thallway\t4
1 Mary got the milk there.
2 Mary took the apple.
3 What is Mary carrying? \tmilk,apple\t1 2
"""
COTEMP = """{"index": %d, "triple_element": "S1_R1_O2", "answer": ["Yale", "Bo's \\u05d0\\u05d1"],
 "question": "While Ann L\\u00f6f was a member of Party %d, where did she work?", "facts":
 ["Ann L\\u00f6f works for Yale from 1990 to 1995.", "Bo holds a \\ud83d\\ude00 in 1991."]}"""
MARCO = """{"query_id": %d, "query": "rba? %d", "query_type": "NUMERIC", "answers": ["A bank"],
 "passages": [{"passage_text": "The RBA sets \\u20ac rates."}, {"passage_text": "Results."}]}"""
JSONL = """{"question": "Where is Mary %d?", "context": ["Mary went home.", "Bo ate %d."],
 "answers": ["home"], "class": "location", "gold_facts": [0], "split": "train"}"""


def records(text):
    return [json.loads(text % (number, number)) for number in range(4)]


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows).encode()


def columns(rows):
    made = {key: {str(n): row[key] for n, row in enumerate(rows)} for key in rows[0]}
    return json.dumps(made).encode()


def read_babi(path):
    (path.parent / "qa1_single-supporting-fact_test.txt").write_text(BABI)
    return babi.read(path.parent, {"tasks": [1]})


FORMATS = {
    "babi": (BABI.encode(), "qa1_single-supporting-fact_train.txt", read_babi),
    "cotemp": (
        lines(records(COTEMP)),
        "equal.json",
        lambda path: cotemp.read(path.parent, {"classes": ["equal"]}),
    ),
    "jsonl": (
        lines([*records(JSONL), records(JSONL)[0] | {"split": "test"}]),
        "a.jsonl",
        lambda path: jsonl.read(path, {}),
    ),
    **{
        f"marco {name}": (raw, "train.json", lambda path: marco.read(path.parent, {}))
        for name, raw in {
            "lines": lines(records(MARCO)),
            "array": json.dumps(records(MARCO)).encode(),
            "columns": columns(records(MARCO)),
        }.items()
    },
}
PIECES = (
    *(b"", b" ", b"\n", b"\r", b"\t", b"\xff", b"\xef\xbb\xbf", b"\x1f\x8b", b"\x00", b"\\ud800"),
    *(b"null", b"NaN", b"1e999", b"9" * 5000, b'"', b"\\", b"{", b"}", b"[]", b'["a", "a"]', b","),
    *("\u2028 \u200b \u202e \u0130 \u00b2".encode(), b'{"0": {}}', b"[" * 3000, b"1 ", b"-1"),
)
EDITS = st.lists(
    st.tuples(
        st.floats(0, 1), st.sampled_from([0, 0, 1, 2, 8, 64, 10**6]), st.sampled_from(PIECES)
    ),
    max_size=3,
)


@pytest.mark.parametrize("name", FORMATS)
@settings(max_examples=150)
@example(edits=[])
@given(edits=EDITS)
def test_damaged_files_are_read_or_rejected_by_record_or_refused(name, edits, tmp_path_factory):
    raw, file, read = FORMATS[name]
    path = tmp_path_factory.mktemp("raw", numbered=True) / file
    for share, cut, piece in edits:
        place = round(share * len(raw))
        raw = raw[:place] + piece + raw[place + cut :]
    path.write_bytes(raw)
    try:
        loaded = read(path)
    except TracekdError as error:
        message = str(error)
        assert "\n" not in message
        assert len(message) < 1000
        assert message.encode()
        assert re.search(rf"{re.escape(file)}:|{re.escape(file)}: |no (\w+ )?question", message)
        assert edits
        return
    for rejection in loaded.rejected:
        assert re.search(rf"{re.escape(file)}:(\d+|record .+)$", rejection.source)
        assert "\n" not in rejection.source
    assert loaded.splits["train"].height > 0
