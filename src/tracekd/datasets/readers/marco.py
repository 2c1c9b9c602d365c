"""MS MARCO QA v1.1 and v2.1: web queries, up to ten passages each, answers written by people.

Format (https://microsoft.github.io/msmarco/): records with `query_id`, `query`, `query_type`
(lower case in v1.1, upper case in v2.1), `answers` and `passages`, a list of objects or, on the
hub, one object of parallel lists. `wellFormedAnswers` is not read: it is [] or the string "[]" in
most records. An unanswerable query has no answers in v1.1, "No Answer Present." in v2.1.

v2.1 has 808,731 training questions, 4 GB of text. They are read twice: first for the keys of all,
then for the questions chosen.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from tracekd.config import HubDataset, Settings, parse_settings
from tracekd.datasets import (
    UNANSWERABLE,
    Loaded,
    Rejection,
    fields,
    most_frequent,
    rawfiles,
    sources,
    table,
)
from tracekd.datasets.fields import RejectedError
from tracekd.datasets.keys import KEYS, held_out, identity
from tracekd.errors import TracekdError

QUERY_TYPES = frozenset({"description", "numeric", "entity", "location", "person"})
_FIELDS = ("query_id", "query", "passages", "query_type", "answers")
_SUFFIXES = (".json", ".jsonl", ".json.gz", ".jsonl.gz", ".parquet")
#: Where a question is: the number of its file, and of the record in it.
_PLACE = {"file": pl.Int64, "record": pl.Int64}
#: Keys that become a table at a time: Python's objects take ten times the memory.
_BATCH = 20_000
#: Share of each class that is cut from train as the test split, if no other file has a question.
_TEST_SHARE = 0.1
_OPTIONS = "datasets.yaml: options of the reader marco"


def raw_files(folder: Path, options: dict[str, Any]) -> list[Path]:
    """Return the JSON and parquet files of the folder, without its subfolders.

    Raises:
        TracekdError: if there is none.
    """
    parse_settings(Settings, options, _OPTIONS)
    found = [path for path in rawfiles.files(folder) if path.name.endswith(_SUFFIXES)]
    if not found:
        raise TracekdError(f"{folder}: no MS MARCO file; expected *{', *'.join(_SUFFIXES)}")
    return found


def read(folder: Path, options: dict[str, Any]) -> Loaded:
    """Read native JSON lines, JSON arrays, the published object of columns, or the hub's parquet.

    A file's name says whether it is train, dev (or validation) or test (or eval); any other is
    train. As in the paper, the dev questions are the test split; test files are read only if there
    are no dev files, because v2.1 publishes no answers for them.

    Raises:
        TracekdError: if there is no file or no training question, or if a file is damaged.
    """
    by_kind: dict[str, list[Path]] = {"train": [], "dev": [], "test": []}
    for path in raw_files(folder, options):
        by_kind[file_kind(path.name)].append(path)
    notes: Counter[str] = Counter()
    if by_kind["dev"]:
        for path in by_kind["test"]:
            notes[f"{path.name} was not read: dev files are the test split"] = 1
    return _load(by_kind["train"], by_kind["dev"] or by_kind["test"], notes)


def read_hub(hub: HubDataset, options: dict[str, Any]) -> Loaded:
    """Read the hub's parquet files; the validation split is the test split, as in the paper."""
    parse_settings(Settings, options, _OPTIONS)
    version = hub.subset or "v1.1"
    patterns = [f"{version}/train-*.parquet", f"{version}/validation-*.parquet"]
    folder = sources.hub_folder(hub, patterns)
    train, test = (rawfiles.files(folder, pattern) for pattern in patterns)
    return _load(train, test, Counter())


def file_kind(name: str) -> str:
    """Return the split that a file name states: "train", "dev" or "test".

    >>> file_kind("dev_v2.1.json.gz"), file_kind("v2.1_validation_part.jsonl"), file_kind("a.json")
    ('dev', 'dev', 'train')
    """
    parts = set(name.lower().replace(".", "_").replace("-", "_").split("_"))
    if parts & {"dev", "validation", "valid", "val"}:
        return "dev"
    return "test" if parts & {"test", "eval"} else "train"


def question(split: str, source: str, raw: Any, notes: Counter[str]) -> dict[str, Any]:
    """Return a record as a row of `records.QUESTIONS`; count in `notes` what was repaired.

    Raises:
        RejectedError: naming the field that is not as the format requires.
    """
    record = fields.require(raw, _FIELDS)
    row = {
        "question": fields.text(record["query"], "query"),
        "context": _passages(record["passages"]),
        "answers": _answers(record["answers"], notes),
        "question_class": fields.text(record["query_type"], "query_type").lower(),
        "subtype": None,
        "gold_facts": None,
        "source": source,
    }
    if row["question_class"] not in QUERY_TYPES:
        raise RejectedError(f"query_type is none of {', '.join(sorted(QUERY_TYPES))}")
    key = fields.whole_number(record["query_id"], "query_id")
    return {"id": f"marco/{split}/{key}", **row}


def _passages(passages: Any) -> list[str]:
    if isinstance(passages, dict):
        texts = passages.get("passage_text")
    elif isinstance(passages, list):
        texts = [item.get("passage_text") if isinstance(item, dict) else None for item in passages]
    else:
        raise RejectedError("passages is neither a list nor an object of lists")
    return fields.context(texts, "passage_text")


def _answers(value: Any, notes: Counter[str]) -> list[str]:
    answers = fields.texts([] if value == "[]" else value, "answers")
    given = [answer.strip() for answer in answers if not fields.is_blank(answer)]
    if len(given) < len(answers):
        notes["blank answers in a record were left out"] += 1
    # Some judges found no answer, others did: the question has one.
    found = [answer for answer in given if answer != UNANSWERABLE]
    if not found:
        return [UNANSWERABLE]
    if len(found) < len(given):
        notes[f"{UNANSWERABLE!r} beside other answers was left out"] += 1
    return fields.without_duplicates(found, notes)


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    read = rawfiles.parquet_records if path.suffix == ".parquet" else rawfiles.json_records
    return read(path)


def _load(train: list[Path], test: list[Path], notes: Counter[str]) -> Loaded:
    rejected: list[Rejection] = []
    files = {"train": train, "test": test}
    keys = {split: _keys(split, paths, rejected, notes) for split, paths in files.items()}
    if keys["test"].is_empty() and len(keys["train"]):
        files["test"] = train
        chosen = held_out(keys["train"], _TEST_SHARE, "marco", "test")
        renamed = pl.col("id").str.replace("marco/train/", "marco/test/", literal=True)
        cut = keys["train"].filter(chosen).with_columns(renamed)
        keys = {"train": keys["train"].filter(~chosen), "test": cut}
        notes["test questions cut from train, as no other file has any"] = len(keys["test"])
    if keys["train"].is_empty():
        raise TracekdError(
            f"marco: no training question in the raw files{most_frequent(rejected)}; expected "
            f"records with the fields {', '.join(_FIELDS)}, some in a file not named dev or test"
        )

    def questions(split: str, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield questions by the numbers of their keys: the second pass."""
        places = keys[split][list(rows)]
        for file, path in enumerate(files[split]):
            chosen = set(places.filter(file=file)["record"])
            for number, (source, record) in enumerate(_records(path) if chosen else ()):
                if number in chosen:
                    yield question(split, source, record, Counter())

    sketches = pl.concat(rows["identity"] for rows in keys.values())
    shared = sketches.filter(sketches.is_duplicated()).implode()
    for split, rows in keys.items():
        alike = rows["identity"].is_in(shared).arg_true().to_list()
        found = [
            (row["id"], identity(row["question"], row["context"]))
            for row in questions(split, alike)
        ]
        schema = {name: KEYS[name] for name in ("id", "identity")}
        keys[split] = rows.update(pl.DataFrame(found, schema=schema, orient="row"), on="id")
    return Loaded(
        keys={split: rows.select(list(KEYS)) for split, rows in keys.items()},
        fetch=lambda split, rows: table([*questions(split, rows)], f"reader marco: {split}"),
        rejected=rejected,
        notes=notes,
    )


def _keys(
    split: str, paths: list[Path], rejected: list[Rejection], notes: Counter[str]
) -> pl.DataFrame:
    """Return the keys and places of all questions of a split: the first pass.

    As `identity` a question has that of its first words: equal for equal questions, and few others.
    """
    seen: set[str] = set()
    schema = {**KEYS, **_PLACE}
    batches, found = [pl.DataFrame(schema=schema)], []
    for file, path in enumerate(paths):
        for number, (source, record) in enumerate(_records(path)):
            try:
                row = question(split, source, record, notes)
            except RejectedError as reason:
                rejected.append(Rejection(source, str(reason)))
                continue
            if row["id"] in seen:
                rejected.append(Rejection(source, "query_id is a duplicate within the split"))
                continue
            seen.add(row["id"])
            first_words = " ".join([text.split(maxsplit=1)[0] for text in row["context"]])
            key = identity(row["question"], [first_words])
            found.append((row["id"], row["question_class"], key, file, number))
            if len(found) == _BATCH:
                batches.append(pl.DataFrame(found, schema=schema, orient="row"))
                found = []
    return pl.concat([*batches, pl.DataFrame(found, schema=schema, orient="row")])
