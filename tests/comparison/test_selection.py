"""What keeping a teacher's traces selected, in compare's numbers and text."""

import json

from repository import GONE, Repository, compared, scores

from tracekd.report.page import figures

CLASSES = {"a": (4, 3), "b": (2, 0)}
#: Regime -> accuracy on test questions with and without a kept trace, for each seed.
ACCURACIES = {"correct": [(0.5, 0.0), (1.0, 0.5)], "teacher": [(1.0, None)]}


def with_teacher(path, folder=None):
    """Compare runs with a teacher; `folder` is the MD5 of its outs where they are not here."""
    repository = Repository(path)
    counts = {
        name: {"questions": n, "with_kept_trace": kept} for name, (n, kept) in CLASSES.items()
    }
    train = {"questions": 6, "with_kept_trace": 3, "classes": counts}
    manifest = path / "teacher/manifest.json"
    manifest.parent.mkdir()
    manifest.write_text(json.dumps({"kinds": {"trace": {"splits": {"train": train}}}}))
    files = {"data/teacher": folder or repository.keep_folder(manifest.parent)}
    for regime, seeds in ACCURACIES.items():
        for seed, (kept, other) in enumerate(seeds):
            found = {"accuracy_with_trace": kept, "accuracy_without_trace": other}
            options = {"trace_mode": regime, "seed": seed, "details": {"selection": found}}
            chosen = {"teacher": {"name": "r1", "match": False}, "files": files}
            repository.experiment(f"{regime}-{seed}", scores([True, False]), **options, **chosen)
    made = compared(repository)
    return made.found["results"]["small on worlds"], made.text, made.undefined


def test_kept_shares_and_accuracies_of_what_was_left_out_are_reported(tmp_path):
    cell, text, undefined = with_teacher(tmp_path)
    assert cell["kept"] == {"trace": {"all": 0.5, "a": 0.75, "b": 0}}
    found = {name: one["selection"] for name, one in cell["regimes"].items()}
    assert found["correct"] == {"with_trace": {"mean": 0.75}, "without_trace": {"mean": 0.25}}
    assert found["teacher"] == {"with_trace": {"mean": 1}, "without_trace": None}
    assert "- small on worlds, trace: all 50.0, a 75.0, b 0.0\n" in text
    assert "| worlds  | small | correct | 75.0       | 25.0 " in text
    path = "results.small on worlds.regimes.teacher.selection.without_trace"
    assert undefined[path] == "no such test question"


def test_traces_that_are_not_here_are_said_to_be_unknown(tmp_path):
    cell, text, undefined = with_teacher(tmp_path, f"{GONE}.dir")
    assert cell["kept"] is None
    assert "- small on worlds: unknown; data/teacher is not on this machine" in text
    assert "fetch it with `dvc exp pull" in undefined["results.small on worlds.kept"]


def test_the_page_draws_what_was_selected(tmp_path):
    cell, _, _ = with_teacher(tmp_path)
    drawn = {figure["title"]: figure for figure in figures.of_cell(cell, {"of no run": {}})}
    kept = drawn["How many training questions have a kept trace?"]
    assert kept["series"] == ["trace"]
    assert [(row["label"], row["values"]) for row in kept["rows"]] == [
        ("all", [{"mean": 0.5}]),
        ("a", [{"mean": 0.75}]),
        ("b", [{"mean": 0}]),
    ]
    selected = drawn["Are students better at questions with a kept trace?"]
    assert [(row["label"], row["values"]) for row in selected["rows"]] == [
        ("correct", [{"mean": 0.75}, {"mean": 0.25}]),
        ("teacher", [{"mean": 1}, None]),
    ]
