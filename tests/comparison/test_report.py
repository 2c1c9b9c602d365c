"""The whole report on a small repository, as JSON and as text."""

import json
from typing import Any, NamedTuple

import pytest
from repository import GONE, Repository, scores

from tracekd.comparison import markdown, report
from tracekd.comparison.effects import BASELINES
from tracekd.comparison.experiments import collect
from tracekd.comparison.results import compare

RIGHT, WRONG = [True] * 6 + [False] * 2, [False] * 6 + [True] * 2


def card(device, seconds):
    facts = {"made_from": {"machine": {"device": device, "threads": seconds}}, "seconds": seconds}
    return {"train": facts, "infer": facts}


class Compared(NamedTuple):
    """A report, why its nulls are undefined, and its text."""

    found: dict[str, Any]
    undefined: dict[str, str]
    text: str


def compared(repository, **options):
    found = collect(repository.path)
    options = {"baselines": BASELINES, **options}
    content, undefined = compare(
        repository.path, repository.cache, found, found.experiments, **options
    )
    return Compared(content, undefined, report.to_markdown(content))


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("repository"))
    for seed in (0, 1):
        repository.experiment(f"none-{seed}", scores(RIGHT), trace_mode="none", seed=seed)
    repository.experiment("correct-0", scores(RIGHT, RIGHT), card=card("cpu", 1))
    repository.experiment(
        "wrong-0",
        scores(WRONG, [False] * 8),
        trace_mode="incorrect",
        code="c2",
        card=card("cuda", 2),
    )
    repository.experiment("gone", GONE, trace_mode="incorrect", seed=1)
    repository.experiment("long-gone", "1" * 32, train={"epochs": 9})
    repository.add(f"ab/{'0' * 38}/half", "stages: {}\n")
    repository.experiment("dose", scores(RIGHT), trace_mode="mixed", corruption=0.2, model="large")
    return repository.save()


@pytest.fixture(scope="module")
def whole(repository):
    return compared(repository, paper=True)


def test_the_report_accounts_for_every_experiment(whole):
    experiments = whole.found["experiments"]
    assert (experiments["found"], experiments["used"]) == (8, 5)
    assert list(experiments["rejected"]) == ["half"]
    assert experiments["scores_absent"] == ["long-gone", "gone"]
    assert list(whole.found["results"]) == ["large on worlds", "small on worlds"]
    assert whole.found["not_paired"] == []
    assert whole.found["missing"] == [
        "large on worlds: none seed 0, 1; correct seed 0, 1; incorrect seed 0, 1; mixed 0.2 seed 1",
        "small on worlds: correct seed 1; incorrect seed 1; mixed 0.2 seed 0, 1",
    ]


def test_other_code_and_other_machines_are_one_warning_each(whole):
    assert whole.found["warnings"] == [
        "small on worlds: different versions of stages/train.py",
        "small on worlds: different machines: train device cpu / cuda; infer device cpu / cuda",
    ]


def test_the_numbers_are_those_of_the_tables(whole):
    cell = whole.found["results"]["small on worlds"]
    regimes = cell["regimes"]
    assert regimes["none"]["answer"]["mean"] == 0.75
    assert regimes["correct"]["trace"]["mean"] == 0.75
    assert regimes["correct"]["link"]["p_answer_if_right"]["value"] == 1
    assert regimes["incorrect"]["link"]["p_answer_if_right"]["value"] is None
    assert list(cell["paired"]) == ["correct - none", "incorrect - none", "incorrect - correct"]
    effect = cell["paired"]["incorrect - correct"]
    assert effect["difference"] == -0.5
    assert effect["p_value"] == pytest.approx(2 * 37 / 256, rel=1e-5)
    path = "results.small on worlds.paired.correct - none.p_value"
    assert whole.undefined[path] == "the two agree on every question"
    dosed = whole.found["results"]["large on worlds"]["regimes"]["mixed 0.2"]
    assert (dosed["regime"], dosed["corruption"]) == ("mixed", 0.2)
    assert "corruption" not in regimes["correct"]


def test_the_queue_is_a_line(whole):
    experiments = {**whole.found["experiments"], "queue": {"queued": 2, "failed": 1}}
    text = report.to_markdown({**whole.found, "experiments": experiments})
    assert "\n\nIn DVC's queue (`dvc queue status`): 2 queued, 1 failed.\n" in text


def test_the_same_repository_gives_the_same_report(repository, whole):
    assert compared(repository, paper=True) == whole


def test_the_baseline_can_be_chosen(repository):
    found = compared(repository, baselines=["correct"]).found
    assert list(found["results"]["small on worlds"]["paired"]) == [
        "none - correct",
        "incorrect - correct",
    ]


def test_the_report_reads_well_as_text(whole, tmp_path):
    text = report.write(tmp_path / "metrics", whole.found, whole.undefined)
    assert text == whole.text == (tmp_path / "metrics/compare.md").read_text()
    content = json.loads((tmp_path / "metrics/compare.json").read_text())
    assert content["undefined"] == whole.undefined
    assert "Used 5 of 8 experiments; 0 have the same settings as a newer one." in text
    assert "or run the experiments again): long-gone, gone." in text
    assert "| worlds  | small | none      | 0, 1  | 8 | 75.0 (40.9 to 92.9) † | - " in text
    assert "incorrect - correct | 0     | -50.0 (" in text
    assert "## Missing\n\n- large on worlds: none seed 0, 1" in text
    assert "### Incorrect traces do not consistently hurt" in text
    assert "Our runs: **cannot decide**" in text
    # A bar in a cell would be one more column.
    tables = [line for line in text.splitlines() if line.startswith("|")]
    assert all("P(" not in line for line in tables)


def test_an_interval_that_is_not_across_seeds_is_marked_where_there_are_several(tmp_path):
    repository = Repository(tmp_path)
    same, other = [True, True, False], [True, False, False]
    for seed, answers in enumerate((same, same, other)):
        repository.experiment(f"correct-{seed}", scores(answers, same), seed=seed)
    repository.experiment("none", scores(same), trace_mode="none")
    text = compared(repository.save()).text
    rows = text.partition("## Regimes")[2].partition("\n## ")[0].splitlines()
    none, correct = [row for row in rows if row.startswith("| worlds")]
    answer, *steps = [cell.strip() for cell in correct.split("|")[6:11]]
    assert answer == "55.6 (7.7 to 100.0)"
    assert all(cell.endswith("†") for cell in steps)
    assert "†" not in none
    assert "\n\n† All seeds have the same mean" in text


def test_tables_are_aligned_and_undefined_numbers_are_a_dash():
    assert markdown.table(["a", "long"], [["bbb", "c"]]) == (
        "| a   | long |\n| --- | ---- |\n| bbb | c    |"
    )
    assert markdown.with_interval(None) == "-"
    assert markdown.with_interval({"mean": 0.5, "low": None, "high": None}) == "50.0"
    assert (
        markdown.with_interval({"mean": 0.5, "low": 0.25, "high": 0.755}) == "50.0 (25.0 to 75.5)"
    )
    assert markdown.points(None) == markdown.number(None, ".1f") == markdown.p_value(None) == "-"
    assert markdown.p_value(0.00001) == "< 0.0001"
    assert markdown.p_value(0.0312) == "0.031"
