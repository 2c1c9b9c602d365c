"""What a dvc.lock says of the run that made its scores."""

import pytest
import yaml
from repository import lock

from tracekd.comparison.locks import Run, canonical, read_lock


def changed(change):
    """What is read from the lock of a whole run after a change to its stages."""
    content = yaml.safe_load(lock(seed=1))
    change(content["stages"])
    return read_lock(yaml.safe_dump(content, sort_keys=False))


def test_a_lock_gives_parameters_scores_questions_and_code():
    entry = {"models.yaml": {"small": {"options": {"hops": 2}}}}
    run = read_lock(lock("abc", seed=3, questions="def", entry=entry))
    assert isinstance(run, Run)
    assert (run.scores, run.questions, run.card) == ("abc", "def", "")
    assert (run.model, run.dataset, run.regime, run.seed) == (
        "small",
        "worlds",
        ("correct", None),
        3,
    )
    assert run.params["train.epochs"] == 2
    assert run.params["models.yaml:small.options.hops"] == 2
    assert run.code == {"stages/train.py": "c1"}


def test_numbers_as_dvc_writes_them_are_numbers():
    run = read_lock(lock().replace("corruption: 0.5", "corruption: 1e-05"))
    assert isinstance(run, Run)
    assert run.params["corruption"] == 1e-5


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (
            lambda stages: stages["analyze"]["params"]["params.yaml"].update(seed=7),
            "stage analyze was run with seed=7, another with 1",
        ),
        (
            lambda stages: stages["analyze"]["params"]["params.yaml"].update(seed=True),
            "stage analyze was run with seed=True, another with 1",
        ),
        (
            lambda stages: stages["train"]["outs"][0].update(md5="newer"),
            "stage analyze was not run again after models/student changed",
        ),
        (
            lambda stages: stages.pop("analyze"),
            "dvc.lock has no data/scores.parquet: the analyze stage was not run",
        ),
        (
            lambda stages: stages["train"]["params"]["params.yaml"].pop("data_seed"),
            "dvc.lock records no data_seed",
        ),
    ],
)
def test_a_lock_that_is_not_of_one_whole_run_is_refused(change, fault):
    assert changed(change) == fault


def test_stages_that_write_a_number_in_two_ways_are_one_run():
    run = changed(lambda stages: stages["train"]["params"]["params.yaml"].update(seed=1.0))
    assert isinstance(run, Run)


@pytest.mark.parametrize(
    "text", ["", "- 1\n", "stages: 3\n", "a: [\n", "stages: {x: {outs: [1]}}\n"]
)
def test_another_file_is_refused(text):
    fault = read_lock(text)
    assert isinstance(fault, str)
    assert fault.startswith("dvc.lock does not come from this pipeline")


def test_equal_numbers_have_the_same_text_and_booleans_another():
    assert canonical(1) == canonical(1.0) == "1"
    assert canonical({"a": [0.0, 0.5]}) == canonical({"a": [0, 0.5]})
    assert len({canonical(value) for value in (1, True, "1", None, 1.5)}) == 5
