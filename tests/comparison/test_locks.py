"""What a dvc.lock says of the run that made its scores."""

import pytest
import yaml
from repository import lock

from tracekd.comparison.locks import CARD, QUESTIONS, SCORES, Run, canonical, read_lock


def changed(change):
    """What is read from the lock of a whole run after a change to its stages."""
    content = yaml.safe_load(lock(seed=1))
    change(content["stages"])
    return read_lock(yaml.safe_dump(content, sort_keys=False))


def test_a_lock_gives_parameters_scores_questions_and_code():
    entry = {"models.yaml": {"small": {"options": {"hops": 2}}}}
    run = read_lock(lock("abc", seed=3, questions="def", entry=entry))
    assert (run.files[SCORES], run.files[QUESTIONS]) == ("abc", "def")
    assert CARD not in run.files
    found = (run.model, run.dataset, run.regime, run.replicate)
    assert found == ("small", "worlds", ("correct", None), (3, 3))
    assert run.params["train.epochs"] == 2
    assert run.params["models.yaml:small.options.hops"] == 2
    assert run.code == {"stages/train.py": "c1"}


def analyzed(stages):
    return stages["analyze"]["params"]["params.yaml"]


def trained(stages):
    return stages["train"]["params"]["params.yaml"]


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        (lambda all_: analyzed(all_).update(seed=7), "stage analyze was run with seed=7"),
        (lambda all_: analyzed(all_).update(seed=True), "stage analyze was run with seed=True"),
        (
            lambda all_: all_["train"]["outs"][0].update(md5="newer"),
            "stage analyze was not run again after models/student changed",
        ),
        (lambda all_: all_.pop("analyze"), "dvc.lock has no data/scores.parquet"),
        (lambda all_: trained(all_).pop("data_seed"), "dvc.lock records no data_seed"),
    ],
)
def test_a_lock_that_is_not_of_one_whole_run_is_refused(change, fault):
    assert changed(change).startswith(fault)


def test_a_number_is_the_same_however_it_is_written():
    assert isinstance(changed(lambda stages: trained(stages).update(seed=1.0)), Run)
    run = read_lock(lock().replace("corruption: 0.5", "corruption: 1e-05"))
    assert run.params["corruption"] == 1e-5
    assert canonical(1) == canonical(1.0) == "1"
    assert canonical({"a": [0.0, 0.5]}) == canonical({"a": [0, 0.5]})
    assert len({canonical(value) for value in (1, True, "1", None, 1.5)}) == 5


@pytest.mark.parametrize("text", ["", "- 1", "stages: 3", "a: [", "stages: {x: {outs: [1]}}"])
def test_another_file_is_refused(text):
    assert read_lock(text).startswith("dvc.lock does not come from this pipeline")
