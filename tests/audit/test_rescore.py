"""Texts generated elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tables import BABI, completion, question, questions

from tracekd import records
from tracekd.audit.generations import read_sets
from tracekd.audit.rescore import audit
from tracekd.config import load_dataset
from tracekd.errors import TracekdError
from tracekd.report.summary import audit_summary

ROOT = Path(__file__).resolve().parents[2]
COTEMP = load_dataset(ROOT / "datasets.yaml", "cotemp")
FACTS = [
    "Ann Lee works for Yale University from 1990 to 1995.",
    "Ann Lee joined Yale Press in 1993.",
]
KNOWN = questions(question("a"))
NONE = {"count": 0, "names": []}


def one(name):
    return {"count": 1, "names": [name]}


def record(number=0, **changes):
    quoted = f"I need to use the following facts to answer the question: ['{FACTS[1]}']"
    relation = COTEMP.class_sentence.format(**{"class": "equal"})
    text = f"assistant\n\n<think>{relation}\n{quoted}</think> <answer>['Yale Press']</answer>"
    asked = f"While Ann Lee was working for Yale University, where else ({number})?"
    made = {"question": asked, "facts": FACTS, "gold": ["Yale Press"], "prediction": text}
    return {**made, "triple_element": "S2_R1_O1", **changes}


def babi_record(**changes):
    fact = "['Mary went home.']"
    trace = (
        "Some words. The category of the question asked is: where.\nI need to use the following "
    )
    trace += f"text to answer the question: {fact}"
    made = {"question": "Where is Mary?", "gold": "home", "query_type": "where"}
    made["prediction"] = f"assistant\n\n<think>{trace}</think> <answer>home</answer>"
    made |= {"passage": "['Mary went home.', \"John's cat left.\"]", "answer_passage": fact}
    return made | changes


@pytest.fixture
def write(tmp_path):
    def written(name, *rows):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    return written


def test_published_records_are_scored_against_their_own_question(write):
    wrong = record(1, prediction="<think>The relation is: mix.</think> <answer>Yale</answer>")
    write("model/equal.jsonl", record(0), wrong)
    folder = write("model/during.jsonl", record(2)).parent
    found = audit(read_sets([folder]), COTEMP)["model"]
    assert found["questions"]["scored"] == 3
    assert (found["steps"], found["answer_read"]) == (["class", "facts"], "as released")
    metrics = found["metrics"]
    assert metrics["answer"]["accuracy"] == pytest.approx(2 / 3, abs=1e-6)
    assert metrics["by_class"]["equal"]["answer"]["accuracy"] == 0.5
    assert metrics["by_class"]["during"]["class"]["accuracy"] == 0
    assert metrics["link"]["trace"]["right_right"] == 1


def test_questions_on_which_the_grammar_reads_another_answer_are_named(write):
    facts = ["Ann Lee holds the position of assistant professor in 1993."]
    text = "<answer>assistant professor</answer>"
    row = record(0, facts=facts, gold=["assistant professor"], prediction=text)
    found = audit(read_sets([write("model/equal.jsonl", row)]), COTEMP)["model"]
    assert found["metrics"]["answer"]["accuracy"] == 0
    assert found["answer_differs_by_the_grammar"] == one("equal.jsonl:1")


def test_duplicate_and_missing_questions_are_counted_and_named(write):
    first = write("one/equal.jsonl", record(0), record(1), record(0, prediction="x"))
    second = write("two/equal.jsonl", record(1), record(2))
    found = audit(read_sets([first, second]), COTEMP)
    expected = {"duplicated": one("equal.jsonl:3"), "missing": one("two/equal.jsonl:2")}
    assert found["one"]["questions"] == {"scored": 2, "unknown": NONE, **expected}
    # Of duplicates, the first counts.
    assert found["one"]["metrics"]["answer"]["accuracy"] == 1
    assert found["two"]["questions"]["missing"]["names"] == ["equal.jsonl:1"]
    assert "equal.jsonl:1" in audit_summary("two", found["two"])


def test_sets_are_named_by_as_much_of_their_path_as_distinguishes_them(write):
    names = ("a/x/out", "b/x/out", "b/y/out", "out2")
    folders = [write(f"{name}/equal.jsonl", record(0)).parent for name in names]
    assert [found.name for found in read_sets(folders)] == ["a/x/out", "b/x/out", "y/out", "out2"]


def test_a_file_named_more_than_once_is_read_once(write, monkeypatch):
    file = write("model/equal.jsonl", record(0))
    monkeypatch.chdir(write("model/during.jsonl", record(1)).parent)
    (found,) = read_sets([file.parent, file, Path("during.jsonl"), Path(), file])
    assert (found.name, len(found.items), found.duplicated) == ("model", 2, ())


def test_further_fields_do_not_change_the_format(write):
    (found,) = read_sets([write("model/equal.jsonl", record(0, id=7, text="x"))])
    assert [item.format for item in found.items.values()] == ["cotemp"]
    path = write("student/outputs.jsonl", {"id": "a", "text": "x", "question": "?", "gold": []})
    (found,) = read_sets([path])
    assert list(found.items) == [("a",)]


def test_plain_texts_are_matched_by_id(write):
    text = completion("where", ["Mary went home."], "home")
    rows = [{"id": key, "text": text} for key in "az"]
    path = write("student/outputs.jsonl", *rows, {"id": "a", "text": ""})
    known = questions(question("a"), question("b"))
    found = audit(read_sets([path]), BABI, questions=known)["student"]
    expected = {"duplicated": one("a"), "missing": one("b"), "unknown": one("z")}
    assert found["questions"] == {"scored": 1, **expected}
    assert found["answer_read"] == "by the grammar"
    assert found["metrics"]["trace"]["accuracy"] == 1


def test_a_given_trace_mode_decides_which_steps_are_scored(write):
    sets = read_sets([write("model/equal.jsonl", record(0))])
    assert audit(sets, COTEMP, trace_mode="class_only")["model"]["steps"] == ["class"]
    assert audit(sets, COTEMP, trace_mode="none")["model"]["steps"] == []


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"facts": "paper", "questions": KNOWN}, "--facts: the table of --questions already has"),
        ({}, "need the questions: add --questions"),
        ({"questions": questions(question("b"))}, "student: none of its texts belongs to a known"),
        ({"questions": KNOWN, "trace_mode": "corect"}, "unknown regime"),
    ],
)
def test_options_that_do_not_fit_are_refused(write, options, fault):
    sets = read_sets([write("student/outputs.jsonl", {"id": "a", "text": "x"})])
    with pytest.raises(TracekdError, match=fault):
        audit(sets, BABI, **options)


def test_the_command_writes_where_questions_and_gold_facts_came_from(write, tmp_path):
    row, out, table = record(0), tmp_path / "a", tmp_path / "q"
    folder = write("model/equal.jsonl", row).parent
    asked = {"question": row["question"], "context": FACTS, "question_class": "equal"}
    known = questions(question("a", **asked, subtype=row["triple_element"]))
    records.write(known, table, records.DECOMPOSED)
    call = [sys.executable, ROOT / "stages/audit.py", folder, "--dataset", "cotemp", "--out", out]
    subprocess.run([*call, "--questions", table], check=True, capture_output=True, cwd=ROOT)
    found = json.loads(out.read_text())
    assert (found["facts"], found["questions"]) == (None, str(table))
    assert found["sets"]["model"]["questions"]["scored"] == 1


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ({"question": "?"}, "missing fields: facts, gold, triple_element"),
        (record(facts=[]), "facts is empty"),
        (record(gold=[]), "gold is empty"),
        (record(gold=[["Yale Press"]]), "gold is a nested list"),
        (record(prediction=None), "prediction is missing or not a string"),
        ({"id": "a"}, "text is missing or not a string"),
        ({"id": 7, "text": "x"}, "id is not a string"),
        ({"id": 7, "question": "?", "prediction": "x"}, "missing fields: facts, gold, triple"),
        (babi_record(passage="Mary went home."), "passage is not a list in Python's notation"),
        (babi_record(passage="[1]"), "passage contains something that is not a string"),
        (babi_record(answer_passage="['Ann left.']"), "answer_passage: 'Ann left.' is not in"),
    ],
)
def test_a_faulty_record_is_reported_with_file_line_and_field(write, row, fault):
    path = write("model/equal.jsonl", record(0), row)
    with pytest.raises(TracekdError) as error:
        read_sets([path])
    assert f"{path}:2: {fault}" in str(error.value)


def test_a_path_without_files_is_an_error(tmp_path):
    for path, fault in ((tmp_path / "none", "no such file or folder"), (tmp_path, "contains no")):
        with pytest.raises(TracekdError, match=fault):
            read_sets([path])


def test_each_file_of_the_release_for_babi_is_a_set_with_all_classes(write):
    wrong = babi_record(query_type="who", answer_passage='["John\'s cat left."]')
    write("babi/none.jsonl", babi_record(prediction="assistant\n\nHome"))
    folder = write("babi/correct.jsonl", babi_record(), wrong).parent
    found = audit(read_sets([folder]), BABI)
    assert list(found) == ["correct", "none"]
    by_class = found["correct"]["metrics"]["by_class"]
    assert by_class["where"]["trace"]["accuracy"] == 1
    assert by_class["who"]["class"]["accuracy"] == by_class["who"]["facts"]["exact"] == 0
    none = found["none"]
    assert (none["steps"], none["metrics"]["answer"]["accuracy"]) == ([], 1)
    assert none["answer_differs_by_the_grammar"]["count"] == 1
    assert none["questions"]["missing"]["names"] == ["correct.jsonl:2"]


#: As published for Llama-3.2-1B-Instruct: regime -> class -> accuracy in %.
PUBLISHED = {
    "none": {"equal": 72.4, "overlap": 41.2, "during": 51.7, "mix": 14.2},
    "correct": {"equal": 62.1, "overlap": 38.2, "during": 47.5, "mix": 4.4},
    "incorrect": {"equal": 67.8, "overlap": 32.8, "during": 42.5, "mix": 5.3},
}


def outputs(shared, *names):
    paths = [shared / "published_outputs" / name for name in names]
    if not all(path.exists() for path in paths):
        pytest.skip("the published outputs are not beside this checkout")
    return read_sets(paths)


@pytest.fixture(scope="module")
def published(shared):
    return audit(outputs(shared, *(f"llama_{regime}" for regime in PUBLISHED)), COTEMP)


def test_published_answers_have_their_published_accuracy(published):
    for regime, expected in PUBLISHED.items():
        found = published[f"llama_{regime}"]
        for kind in ("duplicated", "missing", "unknown"):
            assert found["questions"][kind]["count"] == 0
        by_class = found["metrics"]["by_class"]
        accuracy = {name: round(100 * g["answer"]["accuracy"], 1) for name, g in by_class.items()}
        assert accuracy == expected


def test_published_traces_against_their_own_question(published):
    names = ("right_right", "right_wrong", "wrong_right", "wrong_wrong")
    for regime, counts in {"correct": [231, 2, 172, 545], "incorrect": [0, 6, 371, 573]}.items():
        link = published[f"llama_{regime}"]["metrics"]["link"]["trace"]
        assert [link[name] for name in names] == counts
    assert published["llama_none"]["steps"] == []
    assert "link" not in published["llama_none"]["metrics"]


def test_published_answers_of_babi_have_their_published_accuracy(shared):
    names = [f"babi/llama_{regime}.jsonl" for regime in ("correct", "incorrect")]
    found = audit(outputs(shared, *names), BABI)
    for accuracy, report in zip((0.944, 0.862), found.values(), strict=True):
        # One of 376 questions occurs twice.
        assert report["questions"]["scored"] == 375
        assert report["metrics"]["answer"]["accuracy"] == pytest.approx(accuracy, abs=0.001)
