import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tracekd import records, tables
from tracekd.config import DatasetSpec, PrepareParams
from tracekd.datasets import Rejection, Wanted, preparation, sources
from tracekd.datasets.questions import Questions
from tracekd.datasets.readers import babi
from tracekd.errors import TracekdError
from tracekd.files import combined_hash

WANTED = Wanted(data_seed=0, train=None, test=None)
LABEL = "single-supporting-fact"
CLASSES = {"class_sentence": "{class}", "answers": "all", "answer_metric": "exact_match"}


def story(n: int, support: int = 1) -> str:
    return f"1 Mary found box {n}.\n2 Which box? \t{n}\t{support}\n"


def raw_folder(tmp_path: Path) -> Path:
    """Twenty train and four test questions; test repeats train's first, train's last is faulty."""
    train = "".join(map(story, range(20))) + story(20, support=9)
    test = "".join(story(n) for n in (0, 101, 102, 103))
    for split, text in (("train", train), ("test", test)):
        (tmp_path / f"qa1_single-supporting-fact_{split}.txt").write_text(text)
    return tmp_path


def spec(folder: Path, options: dict[str, Any] | None = None) -> DatasetSpec:
    chosen = options or {"tasks": [1]}
    sha256 = combined_hash(sources.fingerprint(folder, babi.raw_files(folder, chosen)))
    entry = {
        "reader": "babi",
        "facts": {"paper": "annotated"},
        "path": str(folder),
        "sha256": sha256,
        "options": chosen,
    }
    return DatasetSpec.model_validate(CLASSES | entry)


def all_different(count: int) -> dict[str, Any]:
    return {"questions": count, "distinct": count, "classes": {LABEL: count}}


def sizes(train: int | None, validation: int | None, test: int | None) -> PrepareParams:
    return PrepareParams(train=train, validation=validation, test=test)


def test_the_manifest_accounts_for_every_raw_record(tmp_path: Path) -> None:
    entry = spec(raw_folder(tmp_path))
    prepared = preparation.prepare("babi", entry, sizes(10, 5, 3), 0)
    manifest = prepared.manifest
    assert manifest["dataset"] == "babi"
    assert manifest["source"] == {"folder": str(tmp_path), "sha256": entry.sha256}
    assert combined_hash(manifest["raw"]) == entry.sha256
    assert manifest["upstream"]["train"] == all_different(20)
    assert manifest["splits"] == {
        "train": all_different(10),
        "validation": all_different(5),
        "test": all_different(3),
    }
    assert manifest["rejected"] == {
        "count": 1,
        "reasons": {
            "a support id points to no statement before the question": {
                "count": 1,
                "first": [f"{tmp_path.name}/qa1_{LABEL}_train.txt:42"],
            }
        },
    }
    assert manifest["left_train"]["stands_in_test"] == all_different(1)


def test_the_written_folder_is_whole_and_the_same_in_every_run(tmp_path: Path) -> None:
    entry = spec(raw_folder(tmp_path))
    written = []
    for name in ("one", "two"):
        out = tmp_path / name
        preparation.write(preparation.prepare("babi", entry, sizes(10, 5, 3), 0), out)
        written.append({path.name: path.read_bytes() for path in out.iterdir()})
    assert written[0] == written[1]
    assert sorted(written[0]) == [
        "manifest.json",
        "test.parquet",
        "train.parquet",
        "validation.parquet",
    ]
    table = tables.read(tmp_path / "one" / "train.parquet", records.QUESTIONS)
    assert len(table) == 10
    assert json.loads(written[0]["manifest.json"])["data_seed"] == 0


def test_a_failure_leaves_the_earlier_folder_as_it_was(tmp_path: Path) -> None:
    raw, out = raw_folder(tmp_path), tmp_path / "out"
    good = preparation.prepare("babi", spec(raw), sizes(10, 5, 3), 0)
    preparation.write(good, out)
    unasked = Questions.of(good.splits["train"].table().drop("question"))
    bad = preparation.Prepared({**good.splits, "validation": unasked}, {})
    with pytest.raises(TracekdError, match="missing: \\['question'\\]"):
        preparation.write(bad, out)
    assert len(list(out.iterdir())) == 4
    assert not list(tmp_path.glob(".out*"))


def test_only_the_first_sources_of_a_reason_are_listed() -> None:
    rejected = [Rejection(f"f:{n}", "torn") for n in range(30)] + [Rejection("f:99", "blank")]
    summary = preparation.rejections_by_reason(rejected)
    assert list(summary) == ["torn", "blank"]
    assert summary["torn"] == {"count": 30, "first": [f"f:{n}" for n in range(20)]}


def test_real_babi_loses_what_stands_in_test_and_nothing_else(shared: Path) -> None:
    entry = spec(shared / "datasets" / "babi", {"tasks": list(babi.TASKS)})
    prepared = preparation.prepare("babi", entry, sizes(None, 2000, None), 0)
    left = prepared.manifest["left_train"]
    assert left["stands_in_test"] == {
        "questions": 280,
        "distinct": 178,
        "classes": {
            "agents-motivations": 121,
            "compound-coreference": 1,
            "counting": 1,
            "positional-reasoning": 20,
            "single-supporting-fact": 2,
            "two-arg-relations": 135,
        },
    }
    kept = len(prepared.splits["train"]) + len(prepared.splits["validation"])
    assert kept == 20000 - 280 - left["stands_in_validation"]["questions"]


def test_near_duplicates_of_test_questions_in_train_are_reported(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path)
    path = folder / f"qa1_{LABEL}_test.txt"
    path.write_text(path.read_text() + "1 Mary found, box 3!\n2 Which box? \t3\t1\n")
    prepared = preparation.prepare("babi", spec(folder), sizes(None, 1, None), 0)
    near = prepared.manifest["near_duplicates_in_train"]
    assert near["same_question"]["test_questions"] == 1
    assert near["same_question"]["first"] == [["babi/test/qa1:10", "babi/train/qa1:8", 1.0]]


def test_an_id_in_two_splits_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = spec(raw_folder(tmp_path))
    loaded = sources.load("babi", entry, WANTED)
    train, test = loaded.splits["train"], loaded.splits["test"]
    twice = test.with_columns(id=train["id"][: len(test)])
    changed = replace(loaded, splits={"train": train, "test": twice})
    monkeypatch.setattr(sources, "load", lambda *_: changed)
    with pytest.raises(TracekdError, match=r"id 'babi/.*' stands in two splits"):
        preparation.prepare("babi", entry, sizes(None, 1, None), 0)


def test_what_was_left_out_is_told_with_its_reason_and_first_place(tmp_path: Path) -> None:
    folder = raw_folder(tmp_path)
    sizes = PrepareParams(train=None, validation=2, test=None)
    made = preparation.prepare("babi", spec(folder), sizes, 0)
    assert preparation.told(made) == [
        "left out: 1 raw records: a support id points to no statement before the question (first "
        f"{folder.name}/qa1_single-supporting-fact_train.txt:42)"
    ]
