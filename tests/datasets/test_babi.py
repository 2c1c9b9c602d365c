import polars as pl
import pytest

from tracekd.datasets.readers import babi
from tracekd.errors import TracekdError

STORY = """\
1 Mary took the milk.
2 Where is Mary? \tkitchen\t1
3 John moved.
4 What is carried? \tmilk,apple\t3 1
"""
PATH = "1 The hall is north of the den.\n2 How do you go from a to b?\tn,w\t1\n"


def folder_of(tmp_path, train=STORY, test=STORY):
    for split, text in (("train", train), ("test", test)):
        (tmp_path / f"qa8_lists-sets_{split}.txt").write_text(text)
    return tmp_path


def read(folder, **options):
    return babi.read(folder, {"tasks": [8], **options})


def test_support_ids_are_lines_and_become_positions_in_the_context(tmp_path):
    rows = read(folder_of(tmp_path)).splits["train"].to_dicts()
    assert rows[1] == {
        "id": "babi/train/qa8:4",
        "question": "What is carried?",
        "context": ["Mary took the milk.", "John moved."],
        "answers": ["milk", "apple"],
        "question_class": "lists-sets",
        "subtype": None,
        "gold_facts": [1, 0],
        "source": f"{tmp_path.name}/qa8_lists-sets_train.txt:4",
    }
    assert (rows[0]["context"], rows[0]["gold_facts"]) == (["Mary took the milk."], [0])


def test_the_steps_of_a_path_are_one_answer_and_a_story_begins_with_line_id_1(
    tmp_path,
):
    for split in ("train", "test"):
        (tmp_path / f"qa19_path-finding_{split}.txt").write_text(PATH * 2)
    rows = read(tmp_path, tasks=[19]).splits["train"].to_dicts()
    assert [row["answers"] for row in rows] == [["n,w"]] * 2
    assert rows[1]["context"] == ["The hall is north of the den."]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        *(
            (f"2 Where? \tden\t{support}", "a support ID does not point to a statement before the")
            for support in ("7", "2", "x", "\u0661")
        ),
        ("2 Where? \tden\t", "no support ID"),
        ("2 Where? \t\u200b\t1", "the answer is empty or has an empty item"),
        ("2 \u202e\tden\t1", "the question is blank"),
        ("1 Where? \tden\t1", "a context without facts"),
    ],
)
def test_a_faulty_question_is_rejected_with_its_place_and_reason(tmp_path, line, reason):
    loaded = read(folder_of(tmp_path, train=f"1 Mary moved.\n{line}\n{STORY}"))
    (rejection,) = loaded.rejected
    assert rejection.source.endswith("qa8_lists-sets_train.txt:2")
    assert rejection.reason.startswith(reason)
    assert len(loaded.splits["train"]) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 Mary moved.\nno id\n", r"train\.txt:2: not a bAbI line: 'no id'"),
        ("1 Mary moved.\n2 Where?\tden\n", r"train\.txt:2: not a bAbI line"),
        ("1 Mary moved.\n3 Where?\tden\t1\n", r"train\.txt:2: line ID 3 follows 1"),
        ("1 Mary moved.\n2 Where is Ma", r"train\.txt:2: the last line has no line end"),
        ("1 Mary moved.\n", "no question of the class lists-sets"),
    ],
)
def test_a_damaged_file_is_one_error(tmp_path, text, message):
    with pytest.raises(TracekdError, match=message):
        read(folder_of(tmp_path, train=text))


def test_the_folder_may_be_the_release_its_parent_or_the_variant(tmp_path):
    home = tmp_path / "tasks_1-20_v1-2" / "en-10k"
    home.mkdir(parents=True)
    folder_of(home)
    for folder in (home, home.parent, tmp_path):
        assert len(read(folder, variant="en-10k").splits["train"]) == 2
    with pytest.raises(TracekdError, match="no bAbI files of the variant en;"):
        read(home, variant="en")
    with pytest.raises(TracekdError, match=r"expected one file qa7_counting_train\.txt"):
        read(home, variant="en-10k", tasks=[7])
    with pytest.raises(TracekdError, match=r"reader babi: tasks.*less than or equal to 20"):
        read(home, tasks=[21])


def test_all_twenty_tasks_of_the_real_data_are_read_without_loss(shared):
    loaded = read(shared / "datasets" / "babi", tasks=list(babi.TASKS))
    assert loaded.rejected == []
    for table in loaded.splits.values():
        counts = dict(table.group_by("question_class").len().iter_rows())
        assert counts == dict.fromkeys(babi.TASKS.values(), 1000)
    train = loaded.splits["train"]
    sizes = pl.col("gold_facts").list.len()
    support = dict(train.group_by("question_class").agg(sizes).iter_rows())
    assert set(support["three-supporting-facts"]) == {3}
    assert (min(support["counting"]), max(support["lists-sets"])) == (1, 8)
