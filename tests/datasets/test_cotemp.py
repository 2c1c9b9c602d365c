import json

import pytest

from tracekd.datasets.readers import cotemp
from tracekd.errors import TracekdError

RECORD = {
    "index": 3,
    "triple_element": "S1_R1_O2",
    "question": "While A worked, who worked?",
    "facts": ["A works for Ö in 2001.", "B works for Ö in 2001."],
    "answer": ["B"],
}


def folder_of(tmp_path, *records, name="equal.json"):
    lines = "".join(json.dumps(record) + "\r\n" for record in records)
    (tmp_path / name).write_bytes(lines.encode())
    return tmp_path


def read(folder, *classes):
    return cotemp.read(folder, {"classes": list(classes)})


def test_a_record_becomes_a_question(tmp_path):
    record = RECORD | {"answer": ["B", "C", "B"]}
    loaded = read(folder_of(tmp_path, record, name="during.partial.json"), "during")
    assert loaded.splits["train"].to_dicts() == [
        {
            "id": "cotemp/all/during:3",
            "question": "While A worked, who worked?",
            "context": ["A works for Ö in 2001.", "B works for Ö in 2001."],
            "answers": ["B", "C"],
            "question_class": "during",
            "subtype": "S1_R1_O2",
            "gold_facts": None,
            "source": "during.partial.json:1",
        }
    ]
    assert loaded.splits["test"].is_empty()
    assert loaded.notes == {"a duplicate answer in a record was removed": 1}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"question": None}, "missing field: question"),
        ({"answer": []}, "answer is an empty list"),
        ({"answer": [["B"]]}, "answer contains something that is not a string"),
        ({"answer": "B"}, "answer is not a list"),
        ({"answer": [1]}, "answer contains something that is not a string"),
        ({"facts": []}, "facts is empty: a context without facts"),
        ({"index": 7}, "index is a duplicate within the file"),
        ({"index": "4"}, "index is not a whole number"),
        ({"triple_element": "s2_r1_o1"}, "triple_element is not of the form S1_R2_O2"),
    ],
)
def test_a_faulty_record_is_rejected_with_its_place_and_reason(tmp_path, change, reason):
    loaded = read(folder_of(tmp_path, RECORD | {"index": 7}, RECORD | change), "equal")
    assert [(r.source, r.reason) for r in loaded.rejected] == [("equal.json:2", reason)]
    assert len(loaded.splits["train"]) == 1


def test_files_that_are_absent_several_or_without_a_question_are_errors(tmp_path):
    with pytest.raises(TracekdError, match=r"no file equal\.json"):
        read(tmp_path, "equal")
    folder_of(tmp_path, RECORD | {"answer": None})
    with pytest.raises(TracekdError, match=r"most: missing field: answer \(first equal\.json:1"):
        read(tmp_path, "equal")
    folder_of(tmp_path, RECORD, name="equal.more.json")
    with pytest.raises(TracekdError, match="several files of the class equal"):
        read(tmp_path, "equal")


def test_the_published_split_is_that_of_pandas():
    # pandas 2.3: sorted(pd.DataFrame(range(10)).sample(frac=0.2, random_state=42).index)
    assert cotemp.published_test_rows(10) == [1, 8]
    assert len(cotemp.published_test_rows(3096)) == 619


def test_a_question_is_about_its_subjects_and_about_an_object_if_it_asks_for_people():
    facts = ["A works for Ö in 2001.", "B attended Ö from 2001 to 2002."]
    about = {
        element: cotemp.entities({"context": facts, "subtype": element})
        for element in ("S1_R1_O2", "S2_R1_O1")
    }
    assert about == {"S1_R1_O2": {"A", "B"}, "S2_R1_O1": {"A", "B", "Ö"}}


def published_questions(shared, label):
    lines = (shared / "published_outputs" / "llama_none" / f"{label}.jsonl").read_text()
    return {json.loads(line)["question"] for line in lines.splitlines()}


def test_real_files_are_read_without_loss_and_split_as_published(shared):
    loaded = read(shared / "datasets" / "cotemp", *cotemp.CLASSES)
    assert loaded.rejected == []
    assert list(loaded.notes.values()) == [1]
    sizes = {"equal": (349, 87), "overlap": (522, 131), "mix": (450, 113), "during": (1305, 326)}
    train, test = loaded.splits["train"], loaded.splits["test"]
    for label, (learnt, held_out) in sizes.items():
        assert train.filter(question_class=label).height == learnt
        assert test.filter(question_class=label).height == held_out
    for label in ("equal", "overlap", "mix"):
        found = set(test.filter(question_class=label)["question"])
        assert found == published_questions(shared, label)


def test_the_published_during_questions_are_the_test_rows_of_the_whole_file(shared):
    folder = shared / "datasets" / "cotemp"
    lines = (folder / "during.partial.json").read_text().splitlines()
    index_of = {record["question"]: record["index"] for record in map(json.loads, lines)}
    published = published_questions(shared, "during")
    chosen = set(cotemp.published_test_rows(3096))
    known = published & index_of.keys()
    assert len(known) > 300
    assert {index_of[question] for question in known} <= chosen


def test_a_rejected_record_moves_no_other_to_another_split(tmp_path):
    records = [RECORD | {"index": n} for n in range(40)]
    whole = read(folder_of(tmp_path, *records), "equal")
    records[7] = records[7] | {"answer": "B"}
    damaged = read(folder_of(tmp_path, *records), "equal")
    for split, rows in whole.splits.items():
        assert damaged.splits[split]["id"].to_list() == [
            key for key in rows["id"] if key != "cotemp/all/equal:7"
        ]
