import json
from collections import Counter

import polars as pl
import pytest

from tracekd.datasets.keys import keys
from tracekd.datasets.readers import marco

NATIVE = {
    "query_id": 0,
    "query": ". what is a corporation?",
    "query_type": "DESCRIPTION",
    "passages": [
        {"is_selected": 0, "url": "u", "passage_text": "A firm."},
        {"is_selected": 1, "url": "v", "passage_text": "A firm."},
    ],
    "answers": ["A company", "A company"],
    "wellFormedAnswers": "[]",
}
COLUMNAR = NATIVE | {
    "query_id": 1,
    "query_type": "description",
    "passages": {"is_selected": [0, 1], "passage_text": ["A firm.", "A firm."], "url": ["u", "v"]},
}


def read(folder, **files):
    for name, records in files.items():
        lines = "".join(json.dumps(record) + "\n" for record in records)
        (folder / f"{name}_v1.1.json").write_text(lines)
    return marco.read(folder, {})


def test_native_and_columnar_passages_give_the_same_question(tmp_path):
    loaded = read(tmp_path, train=[NATIVE, COLUMNAR], dev=[NATIVE])
    expected = {
        "id": "marco/train/0",
        "question": ". what is a corporation?",
        "context": ["A firm.", "A firm."],
        "answers": ["A company"],
        "question_class": "description",
        "subtype": None,
        "gold_facts": None,
        "source": "train_v1.1.json:1",
    }
    other = {"id": "marco/train/1", "source": "train_v1.1.json:2"}
    assert loaded.splits["train"].to_dicts() == [expected, expected | other]
    assert loaded.splits["test"]["id"].to_list() == ["marco/test/0"]
    assert loaded.notes == {"a duplicate answer in a record was removed": 3}


NONE = "No Answer Present."


@pytest.mark.parametrize(
    ("answers", "kept", "note"),
    [
        *(([], NONE, ""), ([""], NONE, ""), ("[]", NONE, ""), ([NONE], NONE, "")),
        (["\u200b"], NONE, "blank answers in a record were left out"),
        (["", "Paris"], "Paris", "blank answers in a record were left out"),
        ([NONE, "Paris"], "Paris", f"'{NONE}' beside other answers was left out"),
    ],
)
def test_every_way_to_say_unanswerable_reads_the_same(tmp_path, answers, kept, note):
    loaded = read(tmp_path, train=[NATIVE | {"answers": answers}], dev=[NATIVE])
    assert loaded.splits["train"]["answers"].to_list() == [[kept]]
    assert not note or loaded.notes[note] == 1


def test_dev_is_the_test_split_and_files_are_told_by_their_names(tmp_path):
    for name, kind in (
        ("sample.json", "train"),
        ("dev_v2.1.json.gz", "dev"),
        ("v2.1_validation_part.jsonl", "dev"),
        ("eval_v2.1_public.json", "test"),
        ("test-00000.json", "test"),
    ):
        assert marco.file_kind(name) == kind
    loaded = read(tmp_path, train=[NATIVE], dev=[NATIVE], eval=[{"query_id": 1}])
    assert loaded.rejected == []
    assert loaded.notes["eval_v1.1.json was not read: dev files are the test split"] == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"query": None, "passages": None}, "missing fields: query, passages"),
        ({"answers": "a"}, "answers is not a list"),
        ({"passages": []}, "passage_text is empty: a context without facts"),
        ({"passages": {"url": []}}, "passage_text is not a list"),
        ({"passages": "x"}, "passages is neither a list nor an object of lists"),
        ({"query_type": "poem"}, f"query_type is none of {', '.join(sorted(marco.QUERY_TYPES))}"),
        ({"query_id": 9}, "query_id is a duplicate within the split"),
        ({"query_id": "x"}, "query_id is not a whole number"),
    ],
)
def test_a_faulty_record_is_rejected_with_its_place_and_reason(tmp_path, change, reason):
    loaded = read(tmp_path, train=[NATIVE | {"query_id": 9}, NATIVE | change], dev=[NATIVE])
    assert [(r.source, r.reason) for r in loaded.rejected] == [("train_v1.1.json:2", reason)]
    assert len(loaded.splits["train"]) == 1


def test_without_another_file_a_tenth_of_each_class_is_cut_as_test(tmp_path):
    records = [
        NATIVE | {"query_id": n, "query_type": "NUMERIC" if n < 4 else "ENTITY"} for n in range(34)
    ]
    loaded = read(tmp_path, train=records)
    test, train = loaded.splits["test"], loaded.splits["train"]
    assert Counter(test["question_class"]) == {"numeric": 1, "entity": 3}
    assert {key.split("/")[1] for key in test["id"]} == {"test"}
    numbers = [int(key.split("/")[2]) for table in (train, test) for key in table["id"]]
    assert sorted(numbers) == list(range(34))
    assert loaded.notes["test questions cut from train, as no other file has any"] == 4
    again = read(tmp_path, train=records[::-1]).splits["test"]
    assert again["id"].to_list() == test["id"].to_list()[::-1]


def test_real_samples_are_read_without_loss(shared):
    loaded = marco.read(shared / "datasets" / "marco", {})
    table = pl.concat(loaded.splits.values())
    sizes = {"description": 131, "numeric": 67, "entity": 32, "location": 16, "person": 5}
    assert Counter(table["question_class"]) == sizes
    assert table["answers"].list.contains("No Answer Present.").sum() == 9
    passages = table["context"].list.len()
    assert (passages.min(), passages.max()) == (3, 10)
    assert Counter(rejection.reason for rejection in loaded.rejected) == {
        "missing fields: query, passages, query_type": 10047
    }


@pytest.mark.parametrize("layout", ["columns", "lines", "array"])
def test_chosen_questions_are_read_again_from_every_layout(tmp_path, layout):
    for name, start in (("train_a", 0), ("train_b", 4)):
        many = [COLUMNAR | {"query_id": n, "query": f"{n}?"} for n in range(start, start + 6)]
        many[2]["passages"] = []
        columns = {key: {str(n): row[key] for n, row in enumerate(many)} for key in many[0]}
        lines = "".join(json.dumps(row) + "\n" for row in many)
        text = {"columns": json.dumps(columns), "lines": lines, "array": json.dumps(many)}[layout]
        (tmp_path / f"{name}.json").write_text(text)
    read(tmp_path, dev=[NATIVE])
    loaded = marco.read(tmp_path, {})
    kept = [f"marco/train/{n}" for n in (0, 1, 3, 4, 5, 7, 8, 9)]
    assert loaded.keys["train"]["id"].to_list() == kept
    reasons = [rejection.reason.split()[0] for rejection in loaded.rejected]
    assert reasons == ["passage_text", "query_id", "query_id", "passage_text"]
    chosen = loaded.fetch("train", [1, 4, 6])
    assert chosen["question"].to_list() == ["1?", "5?", "8?"]
    assert chosen["id"].to_list() == [kept[n] for n in (1, 4, 6)]


def test_questions_that_begin_alike_are_compared_by_their_whole_context(tmp_path):
    texts = ["A firm.", "A  FIRM. ", "A shop.", "The shop."]
    many = [
        NATIVE | {"query_id": n, "passages": {"passage_text": [t]}} for n, t in enumerate(texts)
    ]
    loaded = read(tmp_path, train=many[:3], dev=many[2:])
    train, test = (loaded.keys[split]["identity"].to_list() for split in ("train", "test"))
    assert train[0] == train[1] != train[2] == test[0] != test[1]
    assert keys(loaded.splits["train"]).equals(loaded.keys["train"])


def test_parquet_files_of_the_hub_are_read_from_a_folder(tmp_path):
    rows = [COLUMNAR | {"query_id": n, "wellFormedAnswers": []} for n in range(3)]
    pl.DataFrame(rows[:2]).write_parquet(tmp_path / "train-00000-of-00001.parquet")
    pl.DataFrame(rows[2:]).write_parquet(tmp_path / "validation-00000-of-00001.parquet")
    loaded = marco.read(tmp_path, {})
    assert loaded.splits["train"]["source"][1] == "train-00000-of-00001.parquet:row 2"
    assert loaded.splits["test"]["context"].to_list() == [["A firm.", "A firm."]]
