"""What a dvc.lock says of the run that made its scores."""

import pytest
import yaml
from repository import PARAMS, lock

from tracekd.comparison.locks import Run, flat, read_lock, told


def test_a_lock_gives_parameters_scores_questions_and_code() -> None:
    run = read_lock(lock({**PARAMS, "seed": 3}, "abc", questions="def"))
    assert isinstance(run, Run)
    assert (run.scores, run.questions) == ("abc", "def")
    assert run.params["seed"] == 3
    assert run.params["train.epochs"] == 2
    assert run.code["stages/train.py"] == "c1"


def test_entries_of_other_files_are_named_by_their_file() -> None:
    content = yaml.safe_load(lock(PARAMS, "abc"))
    content["stages"]["prepare"]["params"]["datasets.yaml"] = {"worlds": {"options": {"hops": 2}}}
    run = read_lock(yaml.safe_dump(content))
    assert isinstance(run, Run)
    assert run.params["datasets.yaml:worlds.options.hops"] == 2


def test_stages_run_with_different_parameters_are_no_run() -> None:
    content = yaml.safe_load(lock(PARAMS, "abc"))
    content["stages"]["train"]["params"]["params.yaml"]["seed"] = 7
    assert read_lock(yaml.safe_dump(content)) == "stage train was run with seed=7, another with 0"


def test_a_stage_that_did_not_follow_its_input_is_no_run() -> None:
    content = yaml.safe_load(lock(PARAMS, "abc"))
    content["stages"]["train"]["outs"][0]["md5"] = "newer"
    fault = read_lock(yaml.safe_dump(content))
    assert fault == "stage analyze was not run again after out/train changed"


def test_a_lock_without_scores_is_no_run() -> None:
    content = yaml.safe_load(lock(PARAMS, "abc"))
    del content["stages"]["analyze"]
    fault = read_lock(yaml.safe_dump(content))
    assert fault == "dvc.lock has no data/scores.parquet: the analyze stage was not run"


def test_a_parameter_that_no_stage_recorded_is_told() -> None:
    content = yaml.safe_load(lock(PARAMS, "abc"))
    del content["stages"]["prepare"]["params"]["params.yaml"]["data_seed"]
    assert read_lock(yaml.safe_dump(content)) == "dvc.lock records no data_seed"


@pytest.mark.parametrize(
    "text", ["", "- 1\n", "stages: 3\n", "a: [\n", "stages: {x: {outs: [1]}}\n"]
)
def test_another_file_is_no_run(text: str) -> None:
    fault = read_lock(text)
    assert isinstance(fault, str)
    assert fault.startswith("dvc.lock is not one of this pipeline")


def test_flat_names_leaves_by_their_path() -> None:
    assert flat({"a": {"b": [1], "c": {}}, "d": None}) == {"a.b": [1], "d": None}


def test_stages_that_write_a_number_in_two_ways_are_one_run() -> None:
    content = yaml.safe_load(lock({**PARAMS, "seed": 1}, "abc"))
    content["stages"]["train"]["params"]["params.yaml"]["seed"] = 1.0
    assert isinstance(read_lock(yaml.safe_dump(content)), Run)
    content["stages"]["train"]["params"]["params.yaml"]["seed"] = True
    fault = read_lock(yaml.safe_dump(content))
    assert fault == "stage train was run with seed=True, another with 1"


def test_a_number_is_told_the_same_however_it_is_written_and_is_no_switch() -> None:
    assert told(1) == told(1.0) == "1"
    assert told({"a": [0.0, 0.5]}) == told({"a": [0, 0.5]})
    assert len({told(value) for value in (1, True, "1", None, 1.5)}) == 5
    assert told(float("inf")) == "Infinity"
