import json

import pytest

from tracekd.config import DatasetSpec, PrepareParams, parse_settings
from tracekd.datasets import Loaded, preparation, sources
from tracekd.datasets.readers import babi, cotemp
from tracekd.errors import TracekdError
from tracekd.files import combined_hash, hash_files

LABEL = "single-supporting-fact"


def story(n, support=1):
    return f"1 Mary found box {n}.\n2 Which box? \t{n}\t{support}\n"


def raw_folder(tmp_path):
    """Twenty train and four test questions; test repeats train's first, train's last is faulty."""
    train = "".join(map(story, range(20))) + story(20, support=9)
    test = "".join(story(n) for n in (0, 101, 102, 103))
    for split, text in (("train", train), ("test", test)):
        (tmp_path / f"qa1_{LABEL}_{split}.txt").write_text(text)
    return tmp_path


def spec(folder, tasks):
    options = {"tasks": tasks}
    sha256 = combined_hash(hash_files(folder, babi.raw_files(folder, options)))
    entry = {"name": "mine", "reader": "babi", "path": str(folder), "sha256": sha256}
    return parse_settings(DatasetSpec, entry | {"options": options}, "datasets.yaml: mine")


def all_different(count):
    return {"questions": count, "distinct": count, "classes": {LABEL: count}}


def sizes(train, validation, test):
    return PrepareParams(train=train, validation=validation, test=test)


def row(number, **changes):
    return {
        "id": f"x/{number}",
        "question": f"{number}?",
        "context": ["A fact.", "Another."],
        "answers": ["a"],
        "question_class": "c",
        "subtype": None,
        "gold_facts": [1],
        "source": f"f:{number}",
    } | changes


def test_the_manifest_accounts_for_every_raw_record(tmp_path):
    entry = spec(raw_folder(tmp_path), [1])
    prepared = preparation.prepare(entry, sizes(10, 5, 3), 0)
    reason = "a support ID does not point to a statement before the question"
    place = f"{tmp_path.name}/qa1_{LABEL}_train.txt:42"
    raw = prepared.manifest.pop("raw")
    assert combined_hash(raw) == entry.sha256
    near = prepared.manifest.pop("near_duplicates_in_train")
    assert near["same_question"] == near["same_context"] == {"test_questions": 0, "first": []}
    assert prepared.manifest == {
        "dataset": "mine",
        "reader": "babi",
        "source": {"folder": str(tmp_path), "sha256": entry.sha256},
        "options": {"tasks": [1]},
        "data_seed": 0,
        "tuned": False,
        "upstream": {"train": all_different(20), "test": all_different(4)},
        "splits": {
            name: all_different(len(prepared.tables[name]))
            for name in ("train", "validation", "test")
        },
        "rejected": {"count": 1, "reasons": {reason: {"count": 1, "first": [place]}}},
        "removed_from_train": {
            "in_test": all_different(1),
            "in_validation": {"questions": 0, "distinct": 0, "classes": {}},
            "share_entity": {"questions": 0, "distinct": 0, "classes": {}},
        },
        "notes": {},
    }
    json.dumps(prepared.manifest)
    assert preparation.messages(prepared) == [f"left out: 1 raw records: {reason} (first {place})"]
    assert [len(prepared.tables[name]) for name in ("train", "validation", "test")] == [10, 5, 3]
    again = preparation.prepare(entry, sizes(10, 5, 3), 0)
    assert all(rows.equals(again.tables[name]) for name, rows in prepared.tables.items())


def test_real_babi_loses_what_occurs_in_test_and_nothing_else(shared):
    entry = spec(shared / "datasets" / "babi", list(range(1, 21)))
    prepared = preparation.prepare(entry, sizes(100, 2000, 100), 0)
    removed = prepared.manifest["removed_from_train"]["in_test"]
    assert (removed["questions"], removed["distinct"]) == (280, 178)
    assert (len(removed["classes"]), removed["classes"]["two-arg-relations"]) == (6, 135)


def test_figures_of_a_data_seed_that_settings_were_chosen_on_are_marked(tmp_path):
    entry = spec(raw_folder(tmp_path), [1]).model_copy(update={"tuned_on": [3]})
    tuned, other = (preparation.prepare(entry, sizes(10, 5, 3), seed) for seed in (3, 4))
    assert (tuned.manifest["tuned"], other.manifest["tuned"]) == (True, False)
    assert preparation.messages(tuned)[0].startswith("settings were chosen on data_seed 3")
    assert preparation.messages(tuned)[1:] == preparation.messages(other)


def test_a_reader_without_entities_cannot_split_by_them(tmp_path):
    wanted = sizes(10, 5, 3).model_copy(update={"split": "by_entity"})
    with pytest.raises(TracekdError, match=r"split: by_entity, but the reader babi .*upstream"):
        preparation.prepare(spec(raw_folder(tmp_path), [1]), wanted, 0)


def test_no_fact_of_a_real_test_question_is_in_training_if_split_by_entity(shared):
    folder = shared / "datasets/cotemp"
    raw = combined_hash(hash_files(folder, cotemp.raw_files(folder, {})))
    entry = DatasetSpec(name="cotemp", reader="cotemp", path=str(folder), sha256=raw)
    wanted = sizes(None, 50, None).model_copy(update={"split": "by_entity"})
    prepared = preparation.prepare(entry, wanted, 0)
    facts = {name: set(rows["context"].explode()) for name, rows in prepared.tables.items()}
    assert not facts["test"] & (facts["train"] | facts["validation"])
    removed = prepared.manifest["removed_from_train"]["share_entity"]["questions"]
    assert (len(prepared.tables["test"]), removed) == (657, 1483)


def test_near_duplicates_of_test_questions_in_train_are_reported(tmp_path):
    path = raw_folder(tmp_path) / f"qa1_{LABEL}_test.txt"
    path.write_text(path.read_text() + "1 Mary found, box 3!\n2 Which box? \t3\t1\n")
    prepared = preparation.prepare(spec(tmp_path, [1]), sizes(None, 1, None), 0)
    near = prepared.manifest["near_duplicates_in_train"]["same_question"]
    assert near == {"test_questions": 1, "first": [["babi/test/qa1:10", "babi/train/qa1:8", 1.0]]}


def test_an_id_in_both_splits_is_an_error(tmp_path, monkeypatch):
    loaded = Loaded.of("babi", {"train": [row(1)], "test": [row(1, question="Else?")]})
    monkeypatch.setattr(sources, "load", lambda *_: loaded)
    with pytest.raises(TracekdError, match=r"datasets.yaml: mine: duplicate id 'x/1'"):
        preparation.prepare(spec(raw_folder(tmp_path), [1]), sizes(None, 1, None), 0)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"context": "A fact."}, "context is 'A fact.', expected List"),
        ({"gold_facts": [2]}, "has gold facts outside its context"),
        ({"context": []}, "has no context"),
        ({"answers": []}, "has no answer"),
        ({"question": None}, "row 1: question is null"),
        ({"id": "x/0"}, "duplicate id 'x/0'"),
    ],
    ids=str,
)
def test_what_does_not_fit_in_what_a_reader_returns_is_named(change, fault):
    with pytest.raises(TracekdError, match=r"^reader mine: train: .*" + fault):
        Loaded.of("mine", {"train": [row(0), row(1, **change)], "test": []})


def test_chosen_rows_are_fetched_in_order_and_keys_match_them():
    loaded = Loaded.of("mine", {"train": [row(n) for n in range(5)], "test": [row(9)]})
    assert loaded.keys["train"]["id"].to_list() == [f"x/{n}" for n in range(5)]
    assert loaded.fetch("train", [1, 4]).to_dicts() == [row(1), row(4)]
    assert loaded.splits["test"].to_dicts() == [row(9)]
