"""Texts generated elsewhere."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from tables import BABI, completion, question, questions

from tracekd import records
from tracekd.audit.generations import read_sets
from tracekd.audit.pairs import compare_sets, to_text
from tracekd.audit.rescore import audit
from tracekd.config import load_dataset
from tracekd.datasets.readers import babi
from tracekd.errors import TracekdError
from tracekd.report.summary import audit_summary
from tracekd.traces.gold import decompose

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
    found = audit(read_sets([first, second], "first"), COTEMP)
    expected = {"duplicated": one("equal.jsonl:3"), "missing": one("two/equal.jsonl:2")}
    assert found["one"]["questions"] == {"scored": 2, "unknown": NONE, **expected}
    assert found["one"]["metrics"]["answer"]["accuracy"] == 1
    kept = audit(read_sets([first, second]), COTEMP)["one"]
    assert kept["questions"] == {"scored": 3, "unknown": NONE, **expected}
    assert kept["warnings"] == [
        "1 texts repeat a question and count again, unless --repeated first"
    ]
    assert kept["metrics"]["answer"]["accuracy"] == pytest.approx(2 / 3, abs=1e-6)
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


def test_links_to_files_elsewhere_are_one_set(write, tmp_path):
    (tmp_path / "model").mkdir()
    for number, name in enumerate(("equal", "during")):
        kept = write(f"cache/{number}/5f", record(number))
        (tmp_path / f"model/{name}.jsonl").symlink_to(kept)
    (found,) = read_sets([tmp_path / "model"])
    assert (found.name, len(found.items)) == ("model", 2)


def test_a_folder_with_two_kinds_of_files_is_refused(write):
    write("model/equal.jsonl", record(0))
    folder = write("model/mix.json", record(1)).parent
    with pytest.raises(TracekdError, match=r"\*\.jsonl files and \*\.json files \(mix\.json\)"):
        read_sets([folder])


@pytest.mark.parametrize("changes", [{"gold": ["Yale"]}, {"triple_element": "S1_R1_O2"}])
def test_sets_that_disagree_about_a_question_are_not_scored_by_the_first(write, changes):
    write("one/equal.jsonl", record(0))
    other = write("two/equal.jsonl", record(0, **changes)).parent
    with pytest.raises(TracekdError, match=r"two/equal\.jsonl:1.*question at equal\.jsonl:1"):
        audit(read_sets([other.parent / "one", other]), COTEMP)


def test_files_of_json_lines_may_end_in_json(write):
    (found,) = read_sets([write("model/equal.json", record(0), record(1)).parent])
    assert [item.row["question_class"] for item in found.items] == ["equal", "equal"]


def test_further_fields_do_not_change_the_format(write):
    (found,) = read_sets([write("model/equal.jsonl", record(0, id=7, text="x"))])
    assert [item.format for item in found.items] == ["cotemp"]
    path = write("student/outputs.jsonl", {"id": "a", "text": "x", "question": "?", "gold": []})
    (found,) = read_sets([path])
    assert [item.key for item in found.items] == [("a",)]


def test_plain_texts_are_matched_by_id(write):
    text = completion("where", ["Mary went home."], "home")
    rows = [{"id": key, "text": text} for key in "az"]
    path = write("student/outputs.jsonl", *rows, {"id": "a", "text": ""})
    known = questions(question("a"), question("b"))
    found = audit(read_sets([path], "first"), BABI, questions=known)["student"]
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
        (record(gold=[["Yale Press"]]), "gold contains something that is not a string"),
        (record(prediction=None), "prediction is missing or not a string"),
        ({"id": "a"}, "text is missing or not a string"),
        ({"id": 7, "text": "x"}, "id is not a string"),
        ({"id": 7, "question": "?", "prediction": "x"}, "missing fields: facts, gold, triple"),
        (babi_record(passage="Mary went home."), "passage is not a list in Python's notation"),
        (babi_record(passage="[1]"), "passage contains something that is not a string"),
        (record(triple_element="S9"), "triple_element is not of the form S1_R2_O2"),
        (babi_record(answer_passage="['Ann left.']"), "answer_passage: 'Ann left.' is not in"),
    ],
)
def test_a_faulty_record_is_reported_with_file_line_and_field(write, row, fault):
    path = write("model/equal.jsonl", record(0), row)
    with pytest.raises(TracekdError) as error:
        read_sets([path])
    assert f"{path}:2: {fault}" in str(error.value)


def test_a_path_without_files_is_an_error(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(TracekdError, match=r"is no file, and no folder with \*\.jsonl or"):
            read_sets([path])


def test_each_file_of_the_release_for_babi_is_a_set_with_all_classes(write):
    asked = {"question": "Who left?", "query_type": "who"}
    wrong = babi_record(**asked, answer_passage='["John\'s cat left."]')
    write("babi/none.jsonl", babi_record(prediction="assistant\n\nHome"))
    folder = write("babi/correct.jsonl", babi_record(), wrong).parent
    found = audit(read_sets([folder]), BABI)
    assert list(found) == ["correct", "none"]
    by_class = found["correct"]["metrics"]["by_class"]
    assert by_class["where"]["trace"]["accuracy"] == 1
    assert by_class["who"]["class"]["accuracy"] == by_class["who"]["facts"]["exact"] == 0
    none = found["none"]
    assert (none["steps"], none["metrics"]["answer"]["accuracy"]) == ([], 1)
    assert none["answer_differs_by_the_grammar"]["count"] == 0
    assert none["questions"]["missing"]["names"] == ["correct.jsonl:2"]


def test_a_path_is_a_sequence_and_other_lists_are_none(write):
    path = {"question": "How do you go?", "query_type": "path-finding", "gold": "n,w"}
    things = {"question": "What has Mary?", "query_type": "lists-sets", "gold": "milk,egg"}
    rows = [babi_record(**path, prediction="<answer>w,n</answer>"),
            babi_record(**things, prediction="<answer>egg, milk</answer>")]  # fmt: skip
    found = audit(read_sets([write("babi/none.jsonl", *rows)]), BABI)["none"]
    assert [row["answer_correct"] for row in found["verdicts"]] == [False, True]


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


def cells(report):
    names = ("right_right", "right_wrong", "wrong_right", "wrong_wrong")
    return [report["metrics"]["link"]["trace"][name] for name in names]


def test_published_traces_against_their_own_question(published):
    for regime, counts in {"correct": [236, 2, 167, 545], "incorrect": [0, 6, 371, 573]}.items():
        assert cells(published[f"llama_{regime}"]) == counts
    assert published["llama_none"]["steps"] == []
    assert "link" not in published["llama_none"]["metrics"]


def test_a_list_of_all_facts_is_right_only_by_the_release(shared):
    folder = shared / "teacher/r1_student_audit/llama_r1_traces"
    if not folder.is_dir():
        pytest.skip("the outputs of students of R1 are not beside this checkout")
    figures = audit(read_sets([folder]), COTEMP)["llama_r1_traces"]["metrics"]
    third = pytest.approx(1 / 3, abs=1e-6)
    assert figures["answer"]["accuracy"] == 1
    assert figures["answer"]["corrected"] == figures["answer"]["names_more"] == third
    assert figures["format"]["truncated"] == third


def test_published_sets_differ_less_by_the_corrected_metric(published):
    found = compare_sets(published)[0]["pairs"]["llama_correct - llama_none"]
    verdicts = {metric: one["verdict"] for metric, one in found.items()}
    assert verdicts == {"published": "different", "corrected": "undecided"}


def test_published_outputs_of_babi_are_scored_as_they_are_and_against_the_real_data(shared):
    sets = outputs(shared, "babi")
    options = {"variant": "en", "tasks": [1, 2, 4, 7, 8, 12, 14, 15, 16, 17, 18]}
    asked = babi.read(shared / "datasets/babi", options).splits["test"]
    for known in (None, decompose(asked, "annotated", "all")):
        found = audit(sets, BABI, questions=known)
        assert cells(found["llama_correct"]) == [340, 11, 16, 9]
        assert found["llama_none"]["metrics"]["answer"]["accuracy"] == pytest.approx(363 / 376)
        assert all(report["questions"]["unknown"]["count"] == 0 for report in found.values())


def test_a_step_is_never_dropped_in_silence(write):
    trace = "<think>{}I need to use the following text to answer the question: {}</think>"
    quoted = trace.format("It is about a place.\n", "['Mary went home.']")
    path = write("a/out.jsonl", {"id": "a", "text": f"{quoted}<answer>home</answer>"})
    found = audit(read_sets([path]), BABI, questions=KNOWN)["a"]
    assert (found["steps"], found["metrics"]["trace"]["accuracy"]) == (["class", "facts"], 0)
    assert "1 of 1 outputs name no class" in found["warnings"][0]
    for text, told, warned in (
        (
            trace.format("", "['Mary went home.']") + "home",
            None,
            "class step: read in 0 of 1 outputs",
        ),
        ("<think>Hm.</think>home", None, "class step: read in 0 of 1 outputs"),
        ("<think>Hm.</think>home", "correct", "class step: 1 of 1 outputs name no class"),
    ):
        path = write("b/out.jsonl", {"id": "a", "text": text})
        found = audit(read_sets([path]), BABI, questions=KNOWN, trace_mode=told)["b"]
        assert any(warned in line and text[:10] in line for line in found["warnings"])
        assert warned in audit_summary("b", found)
    path = write("c/out.jsonl", {"id": "a", "text": "<think>\n\n</think>\n\nhome"})
    assert audit(read_sets([path]), BABI, questions=KNOWN)["c"]["warnings"] == []


def test_marco_records_bring_passages_and_alternatives(write):
    entry = load_dataset(ROOT / "datasets.yaml", "marco")
    gold = "['Four or five years', '5 years']"
    row = babi_record(gold=gold, answer_passage=gold, passage=["It takes 5 years.", "No."])
    found = audit(read_sets([write("m/out.jsonl", row | {"prediction": "in 5 years"})]), entry)[
        "out"
    ]
    assert found["metrics"]["answer"]["accuracy"] == 1
    assert found["metrics"]["answer"]["exact"] == 0


def test_sets_on_the_same_questions_are_compared_and_decide_nothing_about_regimes(write):
    for name, right in (("llama_correct", 9), ("llama_incorrect", 1)):
        rows = [record(n, **({} if n < right else {"prediction": "no"})) for n in range(10)]
        write(f"{name}/equal.jsonl", *rows)
    base = write("other/equal.jsonl", record(77)).parent
    folders = [base.parent / name for name in ("llama_correct", "llama_incorrect", "other")]
    compared, _ = compare_sets(audit(read_sets(folders), COTEMP))
    ((name, pair),) = compared["pairs"].items()
    assert name == "llama_incorrect - llama_correct"
    found = pair["published"]
    assert (found["first_only"], found["second_only"], found["difference"]) == (8, 0, -0.8)
    # The exact binomial: 8 of 8 in one direction.
    assert (found["p_value"], found["p_holm"]) == pytest.approx((2 / 2**8, 2 / 2**8), abs=1e-6)
    assert found["verdict"] == "different"
    harmless = compared["claims"]["incorrect_does_not_consistently_hurt"]
    assert harmless["verdict"] == "cannot decide"
    assert "fewer than 3" in harmless["cells"]["llama"]["because"]
    assert "-80.0" in to_text(compared)


def test_nobody_is_told_to_train_others_longer(write):
    path = write("a/out.jsonl", {"id": "a", "text": "<think>"})
    text = audit_summary("a", audit(read_sets([path]), BABI, questions=KNOWN)["a"])
    assert "could not be read" in text
    assert "rain longer" not in text


def test_the_class_of_a_file_ends_at_the_first_dot_of_its_name(write):
    folder = write("some/equal.v2.jsonl", record()).parent
    (found,) = audit(read_sets([folder]), COTEMP).values()
    assert list(found["metrics"]["by_class"]) == ["equal"]
    with pytest.raises(TracekdError, match=r"some\.jsonl:1: the file's name begins with 'some'"):
        read_sets([write("some/some.jsonl", record())])
