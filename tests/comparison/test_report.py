"""The whole report on a small repository, as JSON and as text."""

import json
import time

import numpy as np
import polars as pl
import pytest
from repository import GONE, Repository, compared, scores

from tracekd.comparison import report
from tracekd.traces.regimes import REGIMES

RIGHT, WRONG = [True] * 6 + [False] * 2, [False] * 6 + [True] * 2


def card(device, seconds):
    facts = {"made_from": {"machine": {"device": device, "threads": seconds}}, "seconds": seconds}
    return {"train": facts, "infer": facts}


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    repository = Repository(tmp_path_factory.mktemp("repository"))
    for seed in (0, 1):
        repository.experiment(f"none-{seed}", scores(RIGHT), trace_mode="none", seed=seed)
    repository.experiment("correct-0", scores(RIGHT, RIGHT), card=card("cpu", 1))
    wrong, false = {"trace_mode": "incorrect"}, scores(WRONG, [False] * 8)
    repository.experiment("wrong-0", false, code="c2", card=card("cuda", 2), **wrong)
    repository.experiment("gone", GONE, seed=1, **wrong)
    repository.experiment("long-gone", "1" * 32, train={"epochs": 9})
    repository.add(f"ab/{'0' * 38}/half", "stages: {}\n")
    repository.experiment("dose", scores(RIGHT), trace_mode="mixed", corruption=0.2, model="large")
    return repository.save()


@pytest.fixture(scope="module")
def whole(repository):
    return compared(repository, paper=True)


def test_the_report_accounts_for_every_experiment_and_warns_of_other_code_and_machines(whole):
    experiments = whole.found["experiments"]
    assert (experiments["found"], experiments["used"]) == (8, 5)
    assert list(experiments["rejected"]) == ["half"]
    assert experiments["scores_absent"] == ["long-gone", "gone"]
    assert list(whole.found["results"]) == ["large on worlds", "small on worlds"]
    assert whole.found["not_paired"] == []
    assert whole.found["warnings"] == [
        "small on worlds: different versions of stages/train.py",
        "small on worlds: different machines: train device cpu / cuda; infer device cpu / cuda",
    ]


def test_the_numbers_are_those_of_the_tables(whole):
    cell = whole.found["results"]["small on worlds"]
    regimes = cell["regimes"]
    assert regimes["none"]["answer"]["mean"] == 0.75
    assert regimes["correct"]["trace"]["mean"] == 0.75
    assert regimes["correct"]["link"]["p_answer_if_right"]["mean"] == 1
    assert regimes["incorrect"]["link"]["p_answer_if_right"]["mean"] is None
    assert list(cell["paired"]) == ["correct - none", "incorrect - none", "incorrect - correct"]
    effect = cell["paired"]["incorrect - correct"]
    assert effect["difference"] == -0.5
    assert effect["by_seed"]["0"]["p_value"] == pytest.approx(2 * 37 / 256, rel=1e-5)
    assert (effect["p_value"], effect["verdict"]) == (None, "undecided")
    path = "results.small on worlds.paired.correct - none.by_seed.0.p_value"
    assert whole.undefined[path] == "the two agree on every question"
    assert list(whole.found["results"]["large on worlds"]["regimes"]) == ["mixed 0.2"]


def test_the_report_reads_well_and_is_the_same_each_time(repository, whole, tmp_path):
    text = report.write(tmp_path, whole.found, whole.undefined)
    assert text == whole.text == (tmp_path / "compare.md").read_text()
    content = json.loads((tmp_path / "compare.json").read_text())
    assert content["undefined"] == whole.undefined
    assert compared(repository, paper=True) == whole
    chosen = compared(repository, baselines=["correct"]).found["results"]["small on worlds"]
    assert list(chosen["paired"]) == ["none - correct", "incorrect - correct"]
    assert "| worlds  | small | none      | 0, 1  | 8 | 75.0 (40.9 to 92.9) | - " in text
    assert "incorrect - correct | 0     | -50.0 " in text
    assert "| undecided |" in text
    assert "Our runs: **cannot decide**" in text


def test_floors_doses_and_questions_that_settings_were_chosen_on_are_reported(tmp_path):
    repository = Repository(tmp_path)
    noted = {"datasets.yaml": {"worlds": {"tuned_on": [0]}}}
    for regime, dose, right in (("correct", 0.5, 7), ("mixed", 0.5, 4), ("incorrect", 0.5, 2)):
        table = scores([place < right for place in range(8)], RIGHT)
        details = {"floors": {"empty answer": 0.0, "whole context": 0.25}}
        options = {"trace_mode": regime, "corruption": dose, "details": details}
        repository.experiment(regime, table, **options, entry=noted)
        repository.experiment(f"{regime}-5", table, **options, data_seed=5, sample_seed=3)
    made = compared(repository)
    assert made.found["warnings"] == [
        "small on worlds, data_seed 0: settings were chosen on the questions of data_seed 0 "
        "(tuned_on in datasets.yaml): use another data_seed for accuracies to be reported"
    ]
    assert "| worlds  | small (data_seed 0) | whole context | -     | 8 | 25.0 " in made.text
    found = made.found["results"]["small on worlds, data_seed 5"]
    assert found["dose"]["accuracy"]["slope"] == -0.625
    assert "| 0 / 0.5 / 1 | 0/3   | -62.5 " in made.text


def test_a_difference_that_a_corrected_metric_does_not_show_is_a_warning(tmp_path):
    repository = Repository(tmp_path)
    for seed in range(3):
        for regime, right in (("none", 2 + seed), ("correct", 20 + seed)):
            table = scores([place < right for place in range(24)])
            table = table.with_columns(corrected=table["id"].str.ends_with(str(seed)).cast(float))
            repository.experiment(f"{regime}-{seed}", table, trace_mode=regime, seed=seed)
    made = compared(repository)
    found = made.found["results"]["small on worlds"]["paired"]["correct - none"]
    assert (found["difference"], found["corrected"]["difference"]) == (0.75, 0)
    assert made.found["warnings"] == [
        "small on worlds: correct - none: different as published, undecided by the corrected metric"
    ]


def test_three_seeds_of_two_regimes_are_planned_for(tmp_path):
    repository = Repository(tmp_path)
    for seed in range(3):
        for regime, right in (("none", 4), ("correct", 5 + seed)):
            answers = [place < right for place in range(8)]
            repository.experiment(f"{regime}-{seed}", scores(answers), seed=seed, trace_mode=regime)
    made = compared(repository)
    (cell,) = made.found["results"].values()
    pair = cell["paired"]["correct - none"]
    assert pair["low"] < pair["difference"] == 0.25 < pair["high"]
    assert "crossed, 3 seeds x 8 questions" in made.text
    text = report.plan(made.found["results"], 0.3)
    assert "To detect a difference of 30.0 points" in text
    assert "seeds x 8 questions" in text


def test_regimes_that_were_taught_other_questions_are_compared_with_a_warning(tmp_path):
    repository = Repository(tmp_path)
    for data_seed, match in ((0, False), (1, True)):
        for regime in ("correct", "teacher"):
            chosen = {"teacher": {"name": "r1", "match": match}, "data_seed": data_seed}
            name = f"{regime}-{match}"
            repository.experiment(name, scores(RIGHT), trace_mode=regime, **chosen)
    (warning,) = compared(repository).found["warnings"]
    assert warning.startswith("small on worlds, data_seed 0, teacher.match false: regimes with a")
    assert "run all with teacher.match=true" in warning


def test_replicates_that_share_a_seed_give_a_warning(tmp_path):
    repository = Repository(tmp_path)
    replicates = [(0, 0, 0), (0, 1, 0), (1, 0, 0)]
    replicates += [(seed, 7, 5) for seed in range(3)]  # all students saw the same sample
    for seed, sample_seed, data_seed in replicates:
        drawn = {"seed": seed, "sample_seed": sample_seed, "data_seed": data_seed}
        repository.experiment("-".join(map(str, drawn.values())), scores(RIGHT), **drawn)
    seeds, samples = compared(repository).found["warnings"]
    shared = "replicates share a {}, so they are not"
    assert seeds.startswith(f"small on worlds, data_seed 0: {shared.format('seed')}")
    assert samples.startswith(f"small on worlds, data_seed 0: {shared.format('sample_seed')}")


def test_a_regime_whose_outputs_are_cut_off_is_named_in_a_warning(tmp_path):
    repository, table = Repository(tmp_path), scores([True] * 19 + [False])
    repository.experiment("none-0", table, trace_mode="none")
    place = pl.int_range(pl.len())
    for regime, cut in (("correct", 1), ("filler", 2)):
        reason = pl.when(place < cut).then(pl.lit("length")).otherwise("finish_reason")
        ended = table.with_columns(finish_reason=reason)
        repository.experiment(f"{regime}-0", ended, trace_mode=regime)
    made = compared(repository)
    (warning,) = made.found["warnings"]
    assert warning.startswith("small on worlds: filler: 10% of the outputs were cut off")
    regimes = made.found["results"]["small on worlds"]["regimes"]
    assert {name: one["cut"]["mean"] for name, one in regimes.items()} == {
        "none": 0,
        "correct": 0.05,
        "filler": 0.1,
    }
    row = next(line for line in made.text.splitlines() if "| filler " in line)
    assert "| 10.0 " in row


@pytest.mark.slow
def test_two_hundred_experiments_are_compared_in_seconds(tmp_path):
    repository, drawn = Repository(tmp_path), np.random.default_rng(0)
    for number in range(200):
        traces, answers = (drawn.random((2, 1000)) < 0.5).tolist()
        where = {"model": f"m{number // 100}", "trace_mode": list(REGIMES)[number // 10 % 10]}
        repository.experiment(str(number), scores(answers, traces), seed=number % 10, **where)
    repository.save()
    start = time.process_time()
    assert compared(repository).found["experiments"]["used"] == 200
    assert time.process_time() - start < 20
