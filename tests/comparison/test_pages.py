"""The page over many experiments, from DVC's cache."""

import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from repository import GONE, Repository, predictions, questions, scores

from tracekd import records
from tracekd.comparison.pages import gather
from tracekd.errors import TracekdError

STAGE = Path(__file__).resolve().parents[2] / "stages/report.py"
ANSWERS = {"none-0": [True, False, False], "correct-0": [True, True, True]}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    made = Repository(tmp_path_factory.mktemp("project"))
    log = made.path / "log"
    (log / "plots/metrics/train").mkdir(parents=True)
    (log / "plots/metrics/train/loss.tsv").write_text("step\tloss\n1\t2.5\n2\t2.0\n")
    test = made.keep(questions("aab"), records.DECOMPOSED)
    for name, answers in ANSWERS.items():
        texts = predictions(["<answer>out</answer>"] * 3)
        twice = pl.concat([texts, texts.with_columns(sample=pl.lit(1, pl.Int32))])
        files = {
            "plots/train": made.keep_folder(log),
            "data/predictions.parquet": made.keep(twice, records.PREDICTIONS),
            "data/probes.parquet": made.keep(pl.DataFrame(schema=records.PROBES), records.PROBES),
        }
        regime = name.partition("-")[0]
        measured = {"n": 3, "answer": {"accuracy": sum(answers) / 3}}
        options = {"trace_mode": regime, "questions": test, "card": {"train": {}}, "files": files}
        made.experiment(name, scores(answers, classes="aab"), details=measured, **options)
    partly = {"trace_mode": "filler", "questions": test, "files": {"plots/train": GONE}}
    made.experiment("partly", scores([True] * 3, classes="aab"), **partly)
    return made.save().path


def test_everything_of_each_experiment_is_read_and_what_is_incomplete_is_named(root):
    contents, comparison = gather(root, ())
    assert [one.name for one in contents] == ["correct-0", "none-0"]
    one = contents[0]
    assert one.details == {"n": 3, "answer": {"accuracy": 1}}
    assert one.losses["train"].to_list() == [2.5, 2.0]
    assert (one.questions.height, one.scores.height, one.predictions.height) == (3, 3, 3)
    rejected = comparison["experiments"]["rejected"]
    assert rejected == {"partly": "its dvc.lock has no metrics/details.json"}
    with pytest.raises(TracekdError, match=r"partly: its dvc\.lock has no metrics/details"):
        gather(root, ["none-0", "partly"])


def test_every_two_regimes_and_every_two_experiments_are_compared(root):
    contents, comparison = gather(root, ["correct-0", "none-0", "correct-0"])
    assert len(contents) == 2
    regimes = comparison["results"]["small on worlds"]["regimes"]
    assert regimes["correct"]["experiments"] == {"0": "correct-0"}
    found = comparison["differences"]
    assert found["regimes"]["small on worlds"]["correct - none"]["difference"] == pytest.approx(
        2 / 3
    )
    pair = found["experiments"]["correct-0 - none-0"]
    assert (pair["first_only"], pair["second_only"], pair["n"]) == (0, 2, 3)
    assert pair["low"] < pair["difference"] < pair["high"]
    assert pair["p_value"] == 0.5


def test_the_command_writes_one_file(root):
    command = [sys.executable, str(STAGE), "none-0", "correct-0", "--out", "page.html"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout == "Wrote page.html: 2 experiments\n"
    assert (root / "page.html").read_text().startswith("<!doctype html>")
    assert not (root / "data").exists()  # nothing is checked out
