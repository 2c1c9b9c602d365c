import json

import pytest

from tracekd.datasets.readers import jsonl
from tracekd.errors import TracekdError

RECORD = {
    "question": "Where is Mary?",
    "context": ["Mary went home.", "Bo ate.", "Mary slept."],
    "answers": ["home"],
    "class": "location",
}
TRAIN, TEST = RECORD | {"split": "train"}, RECORD | {"split": "test"}


def write(path, *records):
    path.write_text("".join(json.dumps(record) + "\n" for record in records))
    return path


def read(path, *records):
    return jsonl.read(write(path / "mine.jsonl", *records) if records else path, {})


def test_a_line_becomes_a_question(tmp_path):
    marked = TRAIN | {"id": "q17", "gold_facts": ["Mary slept.", "Mary went home."], "more": 1}
    loaded = read(tmp_path, marked, TEST | {"gold_facts": [2, 0, 2]})
    (train,) = loaded.splits["train"].to_dicts()
    kept = {key: train[key] for key in ("question", "context", "answers")}
    assert kept | {"class": train["question_class"]} == RECORD
    place = (train["id"], train["source"])
    assert place == ("jsonl/train/q17", "mine.jsonl:1")
    assert (train["subtype"], train["gold_facts"]) == (None, [2, 0])
    (test,) = loaded.splits["test"].to_dicts()
    assert (test["id"], test["gold_facts"]) == ("jsonl/test/mine.jsonl:2", [2, 0])
    assert (loaded.rejected, loaded.notes) == ([], {})


def test_one_text_is_a_context_of_one_fact_and_one_answer(tmp_path):
    plain = TRAIN | {"context": "Mary went home.", "answers": "home"}
    loaded = read(tmp_path, plain, TEST)
    (row,) = loaded.splits["train"].to_dicts()
    assert (row["context"], row["answers"]) == (["Mary went home."], ["home"])
    assert loaded.notes == {"no gold_facts: the entry must name a rule under facts": 2}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": None}, "missing field: question"),
        ({"class": None, "answers": None}, "missing fields: answers, class"),
        ({"context": 3}, "context is not a list"),
        ({"answers": []}, "answers: found an empty list, expected at least one text"),
        ({"class": 1}, "class is not a string"),
        ({"split": "dev"}, "split: found another value than train and test"),
        ({"split": None}, "missing field: split, which other lines have; add train or test"),
        ({"id": "same"}, "id: a duplicate"),
        ({"id": 7}, "id is not a string"),
        ({"gold_facts": "Bo ate."}, "gold_facts: expected a list of indexes or of texts"),
        *(
            ({"gold_facts": [wrong]}, "gold_facts: found an item that is neither an index into ")
            for wrong in (3, -1, True, "Bo eats.")
        ),
    ],
)
def test_a_line_that_does_not_fit_is_rejected_with_its_place_and_reason(tmp_path, change, reason):
    path = write(tmp_path / "mine.jsonl", TRAIN | {"id": "same"}, TEST, TRAIN | change)
    (rejection,) = read(path).rejected
    assert rejection.source == "mine.jsonl:3"
    assert rejection.reason.startswith(reason)


def test_without_splits_a_fifth_of_each_class_is_the_test_split(tmp_path):
    records = [RECORD | {"id": f"{kind}{n}", "class": kind} for kind in "ab" for n in range(10)]
    first = read(tmp_path, *records).splits
    again = read(tmp_path, *records[::-1]).splits
    assert first["test"]["question_class"].to_list() == ["a", "a", "b", "b"]
    assert set(first["test"]["id"]) == set(again["test"]["id"])
    assert len(first["train"]) == 16


def test_all_files_of_a_folder_are_read_and_one_must_have_questions(tmp_path):
    with pytest.raises(TracekdError, match=r"no \*\.jsonl files; add one, or set path"):
        read(tmp_path)
    with pytest.raises(TracekdError, match=r"most: missing field: question \(first mine\.jsonl:1"):
        read(tmp_path, RECORD | {"question": None})
    write(tmp_path / "mine.jsonl", TEST)
    write(tmp_path / "a.jsonl", TRAIN)
    (tmp_path / "a.txt").write_text("not read")
    splits = read(tmp_path).splits.values()
    assert [table["source"].item() for table in splits] == ["a.jsonl:1", "mine.jsonl:1"]
