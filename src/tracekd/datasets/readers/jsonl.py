"""Your own dataset: one question per line, as JSON.

    {"question": "Where is Mary?", "context": ["Mary went home.", "Bo ate."], "answers": "home",
     "class": "location", "gold_facts": [0], "split": "test", "id": "q17"}

question    text
context     list of texts, the facts or passages in order; one text is a context of one fact
answers     list of texts, or one text; whether together they make the answer (all) or are
            alternatives (any) is `answers` of the entry in datasets.yaml
class       text: the gold answer of the Classification step
gold_facts  optional: the supporting facts, in the order of the reasoning, as indexes into context
            (from 0) or as texts that occur in context. Without it the entry must name a rule that
            finds them, e.g. `facts: {paper: answer_string, full: answer_string}` (which finds an
            answer inside a word too: "no" in "known").
split       optional: train or test (validation is cut from train). If no line has it, a fifth of
            the questions of each class becomes the test split, always the same ones.
id          optional: a text, unique; by default the line's "file:line"

The path is one file or a folder of *.jsonl files; further fields are ignored. A line that does not
fit is left out and counted, with its place and the reason, in the manifest.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tracekd.config import Settings, parse_settings
from tracekd.datasets import Loaded, Rejection, fields, most_frequent, rawfiles
from tracekd.datasets.fields import RejectedError
from tracekd.datasets.keys import held_out
from tracekd.errors import TracekdError

_TEST_SHARE = 0.2


def raw_files(folder: Path, options: dict[str, Any]) -> list[Path]:
    """Return the file itself, or all *.jsonl files of a folder."""
    parse_settings(Settings, options, "datasets.yaml: options of the reader jsonl")
    found = [folder] if folder.is_file() else rawfiles.files(folder, "*.jsonl")
    if not found:
        raise TracekdError(f"{folder}: no *.jsonl files; add one, or set path to another folder")
    return found


def read(folder: Path, options: dict[str, Any]) -> Loaded:
    """Read one file, or all files of a folder.

    Raises:
        TracekdError: if there is no file or no question, or if a file is not JSON lines.
    """
    rejected: list[Rejection] = []
    by_id: dict[str, dict[str, Any]] = {}
    for path in raw_files(folder, options):
        for source, record in rawfiles.json_records(path):
            try:
                row = _row(fields.require(record, ("question", "context", "answers", "class")))
                row |= {"id": fields.text(record.get("id", source), "id"), "source": source}
            except RejectedError as reason:
                rejected.append(Rejection(source, str(reason)))
                continue
            if row["id"] in by_id:
                rejected.append(Rejection(source, "id: a duplicate"))
            else:
                by_id[row["id"]] = row
    rows = list(by_id.values())
    if any(row["split"] for row in rows):
        missing = "missing field: split, which other lines have; add train or test"
        rejected += [Rejection(row["source"], missing) for row in rows if not row["split"]]
    else:
        keys = pl.DataFrame(
            [(row["id"], row["question_class"]) for row in rows],
            schema={"id": pl.String, "question_class": pl.String},
            orient="row",
        )
        for row, in_test in zip(rows, held_out(keys, _TEST_SHARE, "jsonl"), strict=True):
            row["split"] = "test" if in_test else "train"
    splits = {
        split: [
            {**row, "id": f"jsonl/{split}/{row['id']}"} for row in rows if row["split"] == split
        ]
        for split in ("train", "test")
    }
    for split, chosen in splits.items():
        if not chosen:
            raise TracekdError(f"{folder}: no {split} question{most_frequent(rejected)}")
    unmarked = sum(row["gold_facts"] is None for chosen in splits.values() for row in chosen)
    notes = {"no gold_facts: the entry must name a rule under facts": unmarked} if unmarked else {}
    return Loaded.of("jsonl", splits, rejected, notes)


def _row(record: Mapping[str, Any]) -> dict[str, Any]:
    context, answers = (
        [value] if isinstance(value, str) else value
        for value in (record["context"], record["answers"])
    )
    context = fields.context(context, "context")
    answers = [fields.text(answer, "answers") for answer in fields.texts(answers, "answers")]
    if not answers:
        raise RejectedError("answers: found an empty list, expected at least one text")
    split = record.get("split")
    if split not in (None, "train", "test"):
        raise RejectedError("split: found another value than train and test")
    return {
        "question": fields.text(record["question"], "question"),
        "context": context,
        "answers": list(dict.fromkeys(answers)),
        "question_class": fields.text(record["class"], "class"),
        "subtype": None,
        "gold_facts": _gold_facts(record.get("gold_facts"), context),
        "split": split,
    }


def _gold_facts(value: Any, context: list[str]) -> list[int] | None:
    if value is None:
        return None
    if not isinstance(value, list):
        raise RejectedError("gold_facts: expected a list of indexes or of texts")
    found = []
    for item in value:
        if isinstance(item, str) and item in context:
            found.append(context.index(item))
        elif isinstance(item, int) and not isinstance(item, bool) and 0 <= item < len(context):
            found.append(item)
        else:
            raise RejectedError(
                "gold_facts: found an item that is neither an index into context (from 0) nor one "
                "of its texts"
            )
    return list(dict.fromkeys(found))
