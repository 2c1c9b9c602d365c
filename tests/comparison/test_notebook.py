"""What `import tracekd` offers: experiments as frames, and two groups of them compared."""

import subprocess
import sys

import polars as pl
import pytest
from repository import GONE, Repository, predictions, scores

import tracekd
from tracekd import records
from tracekd.errors import TracekdError

TEXTS = ["<answer>out</answer>", "a"]
PREDICTIONS = "data/predictions.parquet"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Three seeds of two regimes, a run without scores here, and one of other questions."""
    made = Repository(tmp_path_factory.mktemp("project"))
    files = {
        PREDICTIONS: made.keep(predictions(TEXTS), records.PREDICTIONS),
        "data/probes.parquet": made.keep(pl.DataFrame(schema=records.PROBES), records.PROBES),
    }
    for seed in range(3):
        for regime, right in (("none", 4), ("correct", 5 + seed)):
            table = scores([place < right for place in range(8)], [True] * 8)
            measured = {"n": 8, "answer": {"accuracy": right / 8}}
            options = {"trace_mode": regime, "seed": seed, "metrics": measured, "files": files}
            made.experiment(f"{regime}-{seed}", table, **options)
    made.experiment("gone", GONE, train={"epochs": 9, "lora": {"targets": ["q"]}})
    made.experiment("other", scores([True, False]), dataset="others", files={PREDICTIONS: GONE})
    made.add(f"ab/{'0' * 38}/half", "stages: {}\n")
    return made.save().path


def test_experiments_are_rows_with_parameters_and_numbers(root):
    with pytest.warns(UserWarning, match="experiment half cannot be used: dvc.lock has no"):
        found = tracekd.experiments(root)
    assert found["name"][0] == "other"  # the newest
    row = found.filter(name="correct-1").row(0, named=True)
    assert (row["trace_mode"], row["seed"], row["train.epochs"]) == ("correct", 1, 2)
    assert (row["answer.accuracy"], row["n"]) == (0.75, 8)
    gone = found.filter(name="gone").row(0, named=True)
    assert (gone["answer.accuracy"], gone["train.lora.targets"]) == (None, '["q"]')
    assert found["time"].dtype == pl.Datetime("us", "UTC")


def test_tables_are_read_from_the_cache_from_any_folder_of_the_project(root, monkeypatch):
    (root / "notebooks").mkdir()
    monkeypatch.chdir(root / "notebooks")
    assert tracekd.scores("correct-1")["answer_correct"].sum() == 6
    assert tracekd.predictions("none-0")["text"].to_list() == TEXTS
    assert tracekd.probes("none-0").height == 0
    assert not (root / "data").exists()


def test_a_table_that_is_not_here_is_named_with_the_command_that_fetches_it(root, tmp_path):
    for read, name, path in (
        (tracekd.scores, "gone", "scores"),
        (tracekd.predictions, "other", ""),
    ):
        with pytest.raises(TracekdError, match=rf"{name}: data/{path}.* exp pull REMOTE {name}`"):
            read(name, root)
    with pytest.raises(TracekdError, match=r"its dvc\.lock has no data/probes"):
        tracekd.probes("other", root)
    with pytest.raises(
        TracekdError, match="no successful experiment 'corect-1'; did you mean corr"
    ):
        tracekd.scores("corect-1", root)
    with pytest.raises(TracekdError, match="not in a DVC project"):
        tracekd.experiments(tmp_path)


def names(regime):
    return [f"{regime}-{seed}" for seed in range(3)]


def test_two_groups_are_compared_as_compare_does(root):
    found = tracekd.paired(names("none"), names("correct"), root)
    measures = ["answer", "class", "facts_f1", "facts_exact", "trace", "cut"]
    assert found["measure"].to_list() == measures
    answer, trace = found.row(0, named=True), found.row(4, named=True)
    assert (answer["seeds"], answer["n"], answer["difference"]) == (["0", "1", "2"], 8, 0.25)
    assert answer["low"] < 0.25 < answer["high"]
    assert (answer["verdict"], answer["undefined"]) == ("undecided", None)
    assert (trace["difference"], trace["p_value"]) == (0, None)
    fewer = tracekd.paired("none-0", "correct-0", root)
    assert fewer.schema == found.schema
    one = fewer.row(0, named=True)
    assert (one["difference"], one["low"]) == (0.125, None)
    assert one["over_questions_low"] < one["over_questions_high"]
    assert "fewer than 3 support no claim" in one["undefined"]


@pytest.mark.parametrize(
    ("first", "fault"),
    [
        ([], "not the seeds of one setting: it is empty"),
        (["none-0", "correct-1"], "not the seeds of one setting: regime"),
        (["none-0", "none-0"], "not the seeds of one setting: a seed is there twice"),
        (["other"], "6 questions are not in both"),
    ],
)
def test_a_group_that_is_no_group_is_an_error(root, first, fault):
    with pytest.raises(TracekdError, match=fault):
        tracekd.paired(first, names("correct"), root)


def test_the_import_is_instant_and_needs_no_torch(root):
    code = (
        "import sys, tracekd; assert not {'polars', 'numpy'} & set(sys.modules);"
        f"tracekd.paired('none-0', 'correct-0', {str(root)!r}); tracekd.experiments;"
        "assert 'torch' not in sys.modules; assert set(tracekd.__all__) <= set(dir(tracekd))"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
