"""The raw formats of all data sets, and what holds of every file in them, whole or damaged.

A file is read right, its faulty records are rejected by name, or it is refused with an error for
the user. What was read is rendered in the raw format and read again: the same questions must come
out. And every text of a question must stand in the raw file, as an independent reading of it has
it.
"""

import gzip
import json
import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl

from tracekd import records
from tracekd.datasets import UNANSWERABLE, Loaded, Wanted
from tracekd.datasets.readers import babi, cotemp, marco
from tracekd.errors import TracekdError

WANTED = Wanted(data_seed=0, train=None, test=None)
SEEN = ["question", "context", "answers", "question_class", "subtype", "gold_facts"]
#: Of the processor; far above what any case takes: only a hang is slower.
SECONDS = 5.0

BABI = b"""1 Mary moved to the bathroom.
2 John went to the hallway.
3 Where is Mary? \tbathroom\t1
4 Daniel went back to the hallway.
5 Where is Daniel? \thallway\t4
1 Mary got the milk there.
2 Mary took the apple.
3 What is Mary carrying? \tmilk,apple\t1 2
"""
COTEMP = [
    {
        "index": index,
        "triple_element": "S1_R1_O2",
        "question": f"While Ann L\u00f6f was a member of the Party {index}, where did she work?",
        "facts": [
            "Ann L\u00f6f works for Yale from 1990 to May, 1995.",
            "Bo holds a \U0001f600 in 1991.",
        ],
        "answer": ["Yale", "Bo's \u05d0\u05d1"],
    }
    for index in range(4)
]
MARCO = [
    {
        "query_id": 19699 + number,
        "query": f"what is rba? {number}",
        "query_type": kind,
        "answers": answers,
        "passages": [
            {"is_selected": 1, "url": "u", "passage_text": "The RBA sets \u20ac rates."},
            {"is_selected": 0, "url": "v", "passage_text": "Results."},
        ],
        "wellFormedAnswers": "[]",
    }
    for number, (kind, answers) in enumerate(
        [("description", ["A bank"]), ("NUMERIC", []), ("entity", "[]"), ("NUMERIC", ["Yes", "No"])]
        * 2
    )
]


def lines(rows: Iterable[Any], end: str = "\n") -> bytes:
    return "".join(json.dumps(row) + end for row in rows).encode()


def columns(rows: list[dict[str, Any]]) -> bytes:
    turned = {key: {str(n): row[key] for n, row in enumerate(rows)} for key in rows[0]}
    return json.dumps(turned).encode()


@dataclass(frozen=True)
class Format:
    """A raw format: its files, what they hold, and how they are read."""

    raw: bytes
    file: str

    def read(self, folder: Path, raw: bytes) -> Loaded:
        """Return what the reader makes of the format's file with the content `raw`."""
        path = folder / self.file
        path.write_bytes(gzip.compress(raw, 1) if path.suffix == ".gz" else raw)
        if self.file.startswith("qa1"):
            (folder / "qa1_single-supporting-fact_test.txt").write_bytes(BABI)
            return babi.read(folder, {"tasks": [1]}, WANTED)
        if self.file == "equal.json":
            return cotemp.read(folder, {"classes": ["equal"]}, WANTED)
        return marco.read(folder, {}, WANTED)

    def render(self, rows: list[dict[str, Any]]) -> bytes:
        """Return the questions in this format."""
        if self.file.startswith("qa1"):
            return "".join(map(_story, rows)).encode()
        if self.file == "equal.json":
            return lines(
                {
                    "index": n,
                    "triple_element": row["subtype"],
                    "question": row["question"],
                    "facts": row["context"],
                    "answer": row["answers"],
                }
                for n, row in enumerate(rows)
            )
        return lines(
            {
                "query_id": n,
                "query": row["question"],
                "query_type": row["question_class"],
                "answers": row["answers"],
                "passages": [{"passage_text": text} for text in row["context"]],
            }
            for n, row in enumerate(rows)
        )


def _story(row: dict[str, Any]) -> str:
    facts = "".join(f"{n} {fact}\n" for n, fact in enumerate(row["context"], 1))
    support = " ".join(str(fact + 1) for fact in row["gold_facts"])
    number = len(row["context"]) + 1
    return f"{facts}{number} {row['question']}\t{','.join(row['answers'])}\t{support}\n"


FORMATS = {
    "babi": Format(BABI, "qa1_single-supporting-fact_train.txt"),
    "cotemp": Format(lines(COTEMP, "\r\n"), "equal.json"),
    "marco lines": Format(lines(MARCO), "train.jsonl"),
    "marco gzip": Format(lines(MARCO), "train.json.gz"),
    "marco array": Format(json.dumps(MARCO).encode(), "train.json"),
    "marco columns": Format(columns(MARCO), "train.json"),
}


#: What a reason for the rejection of a record may be about: the record, or one of these fields.
FIELDS = (
    "index", "triple_element", "question", "facts", "answer", "query_id", "query", "query_type",
    "answers", "passages", "passage_text", "support id", "context", "record",
)  # fmt: skip


def check(form: Format, raw: bytes, folder: Path) -> bool:
    """Read a file; return whether it was read rather than refused.

    Raises:
        AssertionError: if it was done wrong or took too long.
    """
    started = time.process_time()
    try:
        loaded = form.read(folder, raw)
    except TracekdError as error:
        _check_message(str(error), form)
        return False
    assert time.process_time() - started < SECONDS
    _check_questions(loaded, form, raw, folder)
    return True


def _check_message(message: str, form: Format) -> None:
    assert message.encode(), "can be printed"
    assert "\n" not in message, message
    assert len(message) < 1000, message[:1500]
    place = rf"{re.escape(form.file)}:(\d+|record .+?): |{re.escape(form.file)}: not a whole gzip"
    # A file in which nothing is a question has no line to name.
    assert re.search(place, message) or re.search(r"\bzero (training )?questions", message), message


def _check_questions(loaded: Loaded, form: Format, raw: bytes, folder: Path) -> None:
    for split, table in loaded.splits.items():
        records.check(table, records.QUESTIONS, split)
    for rejection in loaded.rejected:
        (rejection.source + rejection.reason).encode()
        assert "\n" not in rejection.source
        assert re.search(rf"{re.escape(form.file)}:(\d+|record .+)$", rejection.source), rejection
        assert any(field in rejection.reason for field in FIELDS), rejection
    tables = ["train"] if form.file.startswith("qa1") else ["train", "test"]
    found = pl.concat([loaded.splits[split] for split in tables])
    rows = found.select(SEEN).to_dicts()
    _check_texts_stand_in(raw, rows, form)
    again = form.read(folder, form.render(rows))
    repeated = pl.concat([again.splits[split] for split in tables])
    assert not again.rejected, again.rejected[0]
    assert _sorted(repeated) == _sorted(found)


def _sorted(table: pl.DataFrame) -> list[str]:
    return sorted(map(repr, table.select(SEEN).rows()))


def _check_texts_stand_in(raw: bytes, rows: list[dict[str, Any]], form: Format) -> None:
    if form.file.startswith("qa1"):
        held = {
            part.strip()
            for line in raw.decode().replace("\r", "\n").split("\n")
            for part in (line, line.partition(" ")[2], *line.partition(" ")[2].split("\t"))
        }
        wanted = {text for row in rows for text in (row["question"], *row["context"])}
    else:
        held = set()
        text = raw.decode("utf-8-sig")
        for piece in [text] if text.lstrip().startswith("[") else text.split("\n"):
            if piece.strip():
                _gather(json.loads(piece), held)
        wanted = {
            text
            for row in rows
            for text in (row["question"], *row["answers"], *row["context"])
            if text != UNANSWERABLE
        }
    assert wanted <= held, list(wanted - held)[:3]


def _gather(value: Any, held: set[str]) -> None:
    if isinstance(value, str):
        held |= {value, value.strip()}
    elif isinstance(value, dict):
        for inner in value.values():
            _gather(inner, held)
    elif isinstance(value, list):
        for inner in value:
            _gather(inner, held)
