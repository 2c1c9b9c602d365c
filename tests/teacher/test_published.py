import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from worlds import Output, params, question, run_teacher, tables

from tracekd.config import TeacherSpec, load_teacher, parse_settings
from tracekd.errors import TracekdError
from tracekd.teacher import published
from tracekd.teacher.run import export, messages


def pinned(project: Path, *files: list[Any]) -> TeacherSpec:
    """Write files of lines, and return an entry that pins their folder."""
    (project / "traces").mkdir(exist_ok=True)
    for number, lines in enumerate(files):
        text = "".join(json.dumps(line) + "\n" for line in lines)
        (project / f"traces/{number}.jsonl").write_text(text)
    settings = project / "teachers.yaml"
    settings.write_text("big: {}\n")
    published.pin("big", settings, "traces")
    return load_teacher(settings, "big")


def taught(spec: TeacherSpec, **teacher: Any) -> Output:
    return run_teacher(spec, tables(3), params(**teacher))


def test_lines_are_about_a_question_by_id_or_text(project_folder: Path) -> None:
    context = question("", "")["context"]
    lines = [
        {"id": "x/train/0", "trace": "Mary went home.", "answer": "home"},
        {"question": "Where is Mary  at 1?", "context": context, "trace": "Hm.", "answer": "bed"},
        {"question": "Where is Mary at 2?", "context": ["Other."], "trace": "Hm."},
        {"question": "Where is Mary at noon?", "steps": "No steps."},
        {"id": "y/1", "trace": "Hm."},
        {"id": "x/train/2", "answer": "home"},
        {"id": "x/train/2", "trace": 5},
        [],
    ]
    made = taught(pinned(project_folder, lines), keep="answer_right")
    found = made.traces.select("id", "kind", "answer_correct", "kept").rows()
    assert sorted(found) == [
        ("x/train/0", "trace", True, True),
        ("x/train/1", "trace", False, False),
        ("x/validation/0", "steps", None, False),
    ]
    unused = {name: each["count"] for name, each in made.manifest["file"]["not_used"].items()}
    assert unused == {
        "no question with this id": 1,
        "no such question": 1,
        "no trace": 1,
        "the record is not an object": 1,
        "trace contains something that is not a string": 1,
    }
    assert made.manifest["file"]["lines"] == 8
    assert any("lines not used: no trace: 1 (first " in line for line in messages(made.manifest))


def test_the_published_layout_is_read_and_its_files_are_joined(project_folder: Path) -> None:
    line = {
        "input": "...",
        "question": "Where is Mary at 0?",
        "facts": "Mary went home.\nBob left.",
        "gold": ["home"],
        "prediction": "She is there.\n\n**Answer:** home",
        "r1_trace": "Mary went home. So home.",
    }
    other = {**line, "r1_trace": "Another time: home."}
    summaries = [{**line, "r1_trace_summary": "Home."}, other]
    spec = pinned(project_folder, summaries, [{**line, "r1_exp_ans": "Because."}])
    made = taught(spec, samples=5, keep="first_right").traces
    assert made.select("kind", "sample", "kept").rows() == [
        ("trace", 0, True),
        ("summary", 0, True),
        ("explanation", 0, True),
        ("trace", 1, False),
    ]
    assert made["answer_correct"].to_list() == [True] * 4
    assert taught(spec, samples=1).traces.height == 3


@pytest.mark.parametrize(
    ("keep", "kept"),
    [
        ("all", [0, 1, 2, 3]),
        ("answer_right", [1, 2]),
        ("first_right", [1]),
        ("trace_right", [2, 3]),
        ("trace_wrong", [0, 1]),
    ],
)
def test_what_is_kept_by_answer_or_by_trace(
    project_folder: Path, keep: str, kept: list[int]
) -> None:
    texts = [("Hm.", "bed"), ("Hm.", "home"), ("Mary went home.", "home"), ("Mary went home.", "x")]
    lines = [{"id": "x/train/0", "trace": text, "answer": answer} for text, answer in texts]
    made = taught(pinned(project_folder, lines), samples=4, keep=keep)
    assert made.traces.filter("kept")["sample"].to_list() == kept
    counts = made.manifest["kinds"]["trace"]["splits"]["train"]
    assert counts["classes"]["one-fact"] == {"questions": 3, "asked": 1, "with_kept_trace": 1}


def test_what_is_exported_is_read_back(project_folder: Path) -> None:
    steps = "<think>\nThe category of the question is: one-fact.\n</think>"
    lines = [
        {"id": "x/train/0", "trace": "Mary\nwent.", "answer": "home", "summary": "M."},
        {"id": "x/train/0", "trace": "Again.", "answer": "bed"},
        {"id": "x/test/0", "steps": steps, "answer": "bed"},
    ]
    first = taught(pinned(project_folder, lines), samples=2).traces
    assert export(first, tables(3).values(), project_folder / "traces/0.jsonl") == 3
    settings = project_folder / "teachers.yaml"
    published.pin("big", settings)
    assert taught(load_teacher(settings, "big"), samples=2).traces.equals(first)


def test_an_id_counts_only_with_the_question_that_the_line_has(project_folder: Path) -> None:
    lines = [
        {"id": "x/train/0", "question": "Where is Mary at 1?", "trace": "Hm."},
        {"id": "x/train/2", "question": "Where is Bob?", "trace": "Hm."},
    ]
    made = taught(pinned(project_folder, lines), keep="all")
    assert made.traces["id"].to_list() == ["x/train/1"]
    assert made.manifest["file"]["not_used"].keys() == {"no such question"}
    equal = {split: one.with_columns(question=pl.lit("Where?")) for split, one in tables(3).items()}
    lines = [{"id": "x/train/1", "question": "Where?", "trace": "Hm."}]
    made = run_teacher(pinned(project_folder, lines), equal, params(keep="all"))
    assert made.traces["id"].to_list() == ["x/train/1"]


def test_traces_that_are_not_used_are_counted(project_folder: Path) -> None:
    lines = [
        {"id": "x/train/0", "trace": "One."},
        {"id": "x/train/0", "trace": "Two."},
        {"id": "x/train/1", "trace": "  "},
        {"id": "x/train/1", "trace": "Half of a pair: \ud800"},
        {"id": "x/train/1", "question": "Where is Mary at 1?", "context": [None], "trace": "Hm."},
        {"id": "x/train/2", "steps": "No step can be read here."},
    ]
    made = taught(pinned(project_folder, lines), samples=1, keep="all")
    unused = {name: each["count"] for name, each in made.manifest["file"]["not_used"].items()}
    assert unused == {
        "beyond teacher.samples: 1": 1,
        "context contains something that is not a string": 1,
        "no trace": 1,
        "trace contains half a surrogate pair": 1,
    }
    assert made.manifest["kinds"]["steps"]["statuses"] == {"no trace": 1}
    assert made.traces.filter("kept")["id"].to_list() == ["x/train/0"]


def test_a_changed_or_foreign_file_is_refused(project_folder: Path) -> None:
    spec = pinned(project_folder, [{"id": "y/1", "trace": "Hm."}])
    with pytest.raises(TracekdError, match=r"none of the 1 lines .* with this id \(1\)"):
        taught(spec)
    (project_folder / "traces/0.jsonl").write_text("{}\n")
    with pytest.raises(TracekdError, match=r"not what teachers\.yaml: big pins.*--pin big"):
        taught(spec)
    with pytest.raises(TracekdError, match="no such folder or file"):
        taught(parse_settings(TeacherSpec, {"name": "big", "path": "nowhere"}, "here"))
