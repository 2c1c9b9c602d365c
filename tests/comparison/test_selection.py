"""What keeping a teacher's traces selected, in compare's numbers and text."""

import polars as pl
import pytest
from repository import Repository, questions, scores

from tracekd.comparison import report
from tracekd.comparison.effects import BASELINES
from tracekd.comparison.experiments import collect
from tracekd.comparison.results import compare
from tracekd.records import DECOMPOSED
from tracekd.traces.taught import TEACHER

#: Kept: three of four training questions of class a, none of b; the first two of four test ones.
KEPT = [("train", 0), ("train", 1), ("train", 2), ("test", 0), ("test", 1)]
ANSWERS = {"correct": [True, False, False, False], "teacher": [True, True, False, True]}


def traces(kind, kept):
    shared = {"sample": 0, "status": "ok", "text": "x", "answer": "out", "finish_reason": ""}
    rows = [
        {"id": f"worlds/{split}/{at:04}", "kind": kind, "kept": (split, at) in kept, **shared}
        for split, sizes in (("train", 6), ("test", 4))
        for at in range(sizes)
    ]
    table = pl.DataFrame(rows, schema=dict(TEACHER))
    return table.with_columns(prompt_tokens=0, completion_tokens=0).cast(dict(TEACHER))


def compared(path, *, match, here=True):
    repository = Repository(path)
    folder = path / "teacher"
    folder.mkdir()
    both = pl.concat([traces("trace", KEPT), traces("summary", KEPT[1:])])
    both.write_parquet(folder / "traces.parquet")
    files = {
        "data/teacher": repository.keep_folder(folder) if here else f"{'0' * 32}.dir",
        "data/decomposed/train.parquet": repository.keep(questions("aaaabb", "train"), DECOMPOSED),
    }
    for regime, answers in ANSWERS.items():
        chosen = {"trace_mode": regime, "teacher": {"name": "r1", "match": match}, "files": files}
        repository.experiment(regime, scores(answers), **chosen)
    found = collect(repository.save().path)
    content, undefined = compare(repository.store, found, found.experiments, BASELINES)
    (cell,) = content["results"].values()
    return cell["selection"], report.to_markdown(content), content["warnings"], undefined


def test_kept_shares_and_accuracies_of_what_was_left_out_are_reported(tmp_path):
    found, text, warnings, _ = compared(tmp_path, match=False)
    assert list(found) == ["trace"]  # the kind that the regime `teacher` needs
    assert found["trace"]["train"] == {"all": 0.5, "a": 0.75, "b": 0}
    means = {
        regime: [part["mean"] for part in parts.values()]
        for regime, parts in found["trace"]["test"].items()
    }
    assert means == {"correct": [0.5, 0], "teacher": [1, 0.5]}
    assert "| trace  | all 50.0 / a 75.0 / b 0.0 | correct | 50.0 (" in text
    assert len(warnings) == 1


def test_with_matched_sets_a_question_needs_a_trace_of_each_kind(tmp_path):
    found, text, warnings, _ = compared(tmp_path, match=True)
    assert list(found) == ["summary, trace"]
    assert found["summary, trace"]["train"] == {
        "all": pytest.approx(1 / 3, rel=1e-5),
        "a": 0.5,
        "b": 0,
    }
    assert "What the teacher's traces selected" in text
    assert warnings == []


def test_traces_that_are_not_here_are_said_to_be_unknown(tmp_path):
    found, text, _, undefined = compared(tmp_path, match=False, here=False)
    assert found is None
    assert "Unknown, since the traces are not on this machine: small on worlds." in text
    assert "data/teacher is not in DVC's cache" in undefined["results.small on worlds.selection"]
