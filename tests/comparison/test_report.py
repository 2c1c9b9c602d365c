"""The whole report of a small repository, as JSON and as text."""

import json
from pathlib import Path
from typing import Any

import pytest
from repository import PARAMS, Repository, scores

from tracekd.comparison import markdown, report, results
from tracekd.comparison.effects import BASELINES
from tracekd.comparison.experiments import collect
from tracekd.comparison.grid import arrange
from tracekd.comparison.locks import flat
from tracekd.comparison.scores import load


def compared(repository: Repository, **options: Any) -> tuple[dict[str, Any], dict[str, str]]:
    found = collect(repository.save().path)
    loaded = load(arrange(found.experiments), repository.cache)
    options = {"baselines": BASELINES, "paper": False, **options}
    return results.compare(found, loaded, flat(PARAMS), **options)


@pytest.fixture
def filled(repository: Repository) -> Repository:
    right, wrong = [True] * 6 + [False] * 2, [False] * 6 + [True] * 2
    for seed in (0, 1):
        repository.experiment(f"none-{seed}", scores(right), trace_mode="none", seed=seed)
    repository.experiment("correct-0", scores(right, right))
    repository.experiment("wrong-0", scores(wrong, [False] * 8), trace_mode="incorrect", code="c2")
    repository.experiment("gone", "0" * 32, trace_mode="incorrect", seed=1)
    repository.experiment("half", scores(right), text="stages: {}\n")
    return repository


def test_the_report_accounts_for_every_experiment(filled: Repository) -> None:
    found, _ = compared(filled)
    experiments = found["experiments"]
    assert (experiments["found"], experiments["used"]) == (6, 4)
    assert list(experiments["rejected"]) == ["half"]
    assert experiments["scores_absent"] == {
        "gone": {
            "accuracy": 0.5,
            "command": "dvc exp run --queue -S trace_mode=incorrect -S seed=1",
        }
    }
    assert found["missing"] == ["dvc exp run --queue -S trace_mode=correct -S seed=1"]
    assert "stages/train.py" in found["other_code"]["small on worlds"]


def test_a_newer_run_without_scores_does_not_take_the_place_of_one_that_has_them(
    filled: Repository,
) -> None:
    filled.experiment("pulled", "2" * 32)
    found, _ = compared(filled)
    experiments = found["experiments"]
    assert (experiments["found"], experiments["used"]) == (7, 4)
    assert list(experiments["scores_absent"]) == ["pulled", "gone"]
    assert experiments["stand_ins"] == {"pulled": "correct-0"}
    assert experiments["superseded"] == {}
    assert found["results"]["small on worlds"]["regimes"]["correct"]["answer"]["mean"] == 0.75
    assert "counts in their place:\n- pulled: correct-0" in report.markdown(found)


def test_a_setting_without_any_scores_is_told_once_and_not_in_every_name(
    filled: Repository,
) -> None:
    filled.experiment("long-gone", "1" * 32, train={"epochs": 9})
    found, _ = compared(filled)
    assert "train.epochs=9" in found["experiments"]["scores_absent"]["long-gone"]["command"]
    assert list(found["results"]) == ["small on worlds"]
    assert found["not_paired"] == []
    assert found["missing"] == ["dvc exp run --queue -S trace_mode=correct -S seed=1"]


def test_without_any_scores_all_that_was_run_is_still_the_grid(repository: Repository) -> None:
    repository.experiment("gone", "0" * 32, trace_mode="incorrect")
    repository.experiment("gone-too", "1" * 32, trace_mode="none", seed=1)
    found, _ = compared(repository)
    assert found["results"] == {}
    assert len(found["missing"]) == 2


def test_the_numbers_are_the_tables(filled: Repository) -> None:
    found, undefined = compared(filled)
    setting = found["results"]["small on worlds"]
    assert setting["regimes"]["none"]["answer"]["mean"] == 0.75
    assert setting["regimes"]["correct"]["trace"]["mean"] == 0.75
    assert setting["regimes"]["correct"]["link"]["p_answer_if_right"]["value"] == 1
    assert setting["regimes"]["incorrect"]["link"]["p_answer_if_right"]["value"] is None
    assert list(setting["paired"]) == [
        "correct - none",
        "incorrect - none",
        "incorrect - correct",
    ]
    effect = setting["paired"]["incorrect - correct"]
    assert effect["difference"] == -0.5
    assert effect["p_value"] == pytest.approx(2 * 37 / 256, rel=1e-5)
    path = "results.small on worlds.paired.correct - none.p_value"
    assert undefined[path] == "the two agree on every question"


def test_the_same_repository_gives_the_same_report(filled: Repository) -> None:
    assert compared(filled) == compared(filled)


def test_the_baseline_can_be_chosen(filled: Repository) -> None:
    found, _ = compared(filled, baselines=["correct"])
    assert list(found["results"]["small on worlds"]["paired"]) == [
        "none - correct",
        "incorrect - correct",
    ]


def test_the_report_reads_well_as_text(filled: Repository, tmp_path: Path) -> None:
    found, undefined = compared(filled, paper=True)
    text = report.write(tmp_path / "metrics", found, undefined)
    assert (tmp_path / "metrics/compare.md").read_text() == text
    assert json.loads((tmp_path / "metrics/compare.json").read_text())["undefined"] == undefined
    assert "4 experiments used, of 6 found" in text
    assert "- gone, accuracy 50.0: `dvc exp run" in text
    assert "| worlds   | small | none      | 0, 1  | 8 | 75.0 (40.9 to 92.9) † | - " in text
    assert "incorrect - correct | 0     | -50.0 (" in text
    assert "dvc exp run --queue -S trace_mode=correct -S seed=1\ndvc queue start" in text
    assert "### Incorrect traces do not consistently hurt" in text
    assert "Our runs: **cannot decide**" in text
    # A bar in a cell would be a column more.
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all("P(" not in line for line in tables)


def test_an_interval_over_questions_is_marked_where_several_seeds_agree(
    repository: Repository,
) -> None:
    same, other = [True, True, False], [True, False, False]
    for seed, answers in enumerate((same, same, other)):
        repository.experiment(f"correct-{seed}", scores(answers, same), seed=seed)
    repository.experiment("none", scores(same), trace_mode="none")
    text = report.markdown(compared(repository)[0])
    rows = text.partition("## Regimes")[2].partition("\n## ")[0].splitlines()
    none, correct = [row for row in rows if row.startswith("| worlds")]
    answer, *steps = [cell.strip() for cell in correct.split("|")[6:11]]
    assert answer == "55.6 (7.7 to 100.0)"
    assert all(cell.endswith("†") for cell in steps)
    assert "†" not in none
    assert "\n\n† All seeds have the same mean" in text


def test_nothing_is_marked_where_seeds_differ(repository: Repository) -> None:
    repository.experiment("a", scores([True, True]), trace_mode="none")
    repository.experiment("b", scores([True, False]), trace_mode="none", seed=1)
    assert "†" not in report.markdown(compared(repository)[0])


def test_nothing_missing_is_said(repository: Repository) -> None:
    repository.experiment("a", scores([True, False]))
    found, _ = compared(repository)
    assert "Nothing: every regime and seed was run" in report.markdown(found)


def test_what_the_queue_has_not_finished_is_named_and_not_called_nothing(
    repository: Repository,
) -> None:
    repository.experiment("a", scores([True, False]))
    states = {"calm-newt": "running", **{f"next-{index}": "queued" for index in range(6)}}
    found, _ = compared(repository, unfinished=states)
    assert found["unfinished"] == states
    text = report.markdown(found)
    assert "Nothing: every regime" not in text
    assert "7 in all (`dvc queue status`): calm-newt (running), next-0 (queued), " in text
    assert "next-3 (queued) and 2 more." in text


def test_columns_are_aligned() -> None:
    assert markdown.table(["a", "long"], [["bbb", "c"]]) == (
        "| a   | long |\n| --- | ---- |\n| bbb | c    |"
    )


def test_undefined_numbers_are_a_dash() -> None:
    assert markdown.percent(None) == "-"
    assert markdown.percent({"mean": 0.5, "low": None, "high": None}) == "50.0"
    assert markdown.percent({"mean": 0.5, "low": 0.25, "high": 0.755}) == "50.0 (25.0 to 75.5)"
    assert markdown.points(None) == markdown.number(None, ".1f") == markdown.p_value(None) == "-"
    assert markdown.p_value(0.00001) == "< 0.0001"
    assert markdown.p_value(0.0312) == "0.031"
