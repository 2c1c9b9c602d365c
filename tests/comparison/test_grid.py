"""What may be compared with what, and what has not been run."""

import pytest
from repository import PARAMS, Repository, scores

from tracekd.comparison.experiments import collect
from tracekd.comparison.grid import (
    Grid,
    Setting,
    arrange,
    missing_commands,
    named_apart,
    not_paired,
    rerun_command,
)
from tracekd.comparison.locks import flat

TABLE = scores([True, False])
CURRENT = flat(PARAMS)


def grid(repository: Repository) -> Grid:
    return arrange(collect(repository.save().path).experiments)


def test_experiments_fall_into_settings_regimes_in_their_order(repository: Repository) -> None:
    repository.experiment("a", TABLE, trace_mode="shuffled")
    repository.experiment("b", TABLE, trace_mode="none", seed=1)
    repository.experiment("c", TABLE, trace_mode="none")
    repository.experiment("d", TABLE, model="large")
    found = grid(repository)
    assert {setting.label: list(cells) for setting, cells in found.settings.items()} == {
        "large on worlds": [("correct", 0)],
        "small on worlds": [("none", 0), ("none", 1), ("shuffled", 0)],
    }
    assert (found.regimes, found.seeds) == (["none", "correct", "shuffled"], [0, 1])


def test_the_newest_experiment_wins_and_the_others_are_counted(repository: Repository) -> None:
    repository.experiment("older", TABLE)
    repository.experiment("newer", TABLE)
    found = grid(repository)
    assert found.settings[Setting("worlds", "small")]["correct", 0].name == "newer"
    assert found.superseded == {"older": "newer"}


def test_corruption_tells_mixed_regimes_apart_and_no_others(repository: Repository) -> None:
    repository.experiment("a", TABLE, trace_mode="mixed", corruption=0.2)
    repository.experiment("b", TABLE, trace_mode="mixed", corruption=0.8)
    repository.experiment("c", TABLE, trace_mode="none", corruption=0.2)
    repository.experiment("d", TABLE, trace_mode="none", corruption=0.8)
    (cells,) = grid(repository).settings.values()
    assert list(cells) == [("none", 0), ("mixed 0.2", 0), ("mixed 0.8", 0)]


def test_any_other_parameter_that_differs_makes_another_setting(repository: Repository) -> None:
    repository.experiment("a", TABLE)
    repository.experiment("b", TABLE, train={"epochs": 3})
    repository.experiment("c", TABLE, data_seed=1, questions="other")
    found = grid(repository)
    assert [setting.rest for setting in found.settings] == [
        (("data_seed", "0"), ("train.epochs", "2")),
        (("data_seed", "0"), ("train.epochs", "3")),
        (("data_seed", "1"), ("train.epochs", "2")),
    ]
    assert not_paired(found.settings) == [
        "small on worlds: data_seed is 0 / 1; kept apart, as they answered different questions",
        "small on worlds: train.epochs is 2 / 3; kept apart, as only regime and seed may differ",
    ]


@pytest.mark.parametrize(("one", "other"), [(2, 2.0), (0, 0.0), ([1, 0], [1.0, 0])])
def test_a_number_is_one_setting_however_it_is_written(
    repository: Repository, one: object, other: object
) -> None:
    repository.experiment("a", TABLE, train={"epochs": one})
    repository.experiment("b", TABLE, train={"epochs": other}, seed=1)
    (cells,) = grid(repository).settings.values()
    assert list(cells) == [("correct", 0), ("correct", 1)]


def test_a_switch_is_no_number(repository: Repository) -> None:
    repository.experiment("a", TABLE, train={"epochs": 1})
    repository.experiment("b", TABLE, train={"epochs": True}, seed=1)
    assert len(grid(repository).settings) == 2
    (on, _) = collect(repository.save().path).experiments
    assert "train.epochs=true" in rerun_command(on, {**CURRENT, "train.epochs": 1})


def test_a_dose_is_one_regime_however_it_is_written(repository: Repository) -> None:
    repository.experiment("a", TABLE, trace_mode="mixed", corruption=1)
    repository.experiment("b", TABLE, trace_mode="mixed", corruption=1.0, seed=1)
    found = grid(repository)
    assert found.regimes == ["mixed 1"]
    assert missing_commands(found, CURRENT) == []


def test_a_path_tells_nothing_apart_but_the_hash_of_what_lies_there_does(
    repository: Repository,
) -> None:
    for index, (path, sha256) in enumerate([("/a", "12"), ("/b", "12"), ("/a", "34")]):
        entry = {"models.yaml": {"small": {"path": path, "sha256": sha256}}}
        repository.experiment(f"run-{index}", TABLE, seed=index, train_entry=entry)
    assert {setting.rest: len(cells) for setting, cells in grid(repository).settings.items()} == {
        (("models.yaml:small.sha256", '"12"'),): 2,
        (("models.yaml:small.sha256", '"34"'),): 1,
    }


def test_settings_are_named_by_what_tells_them_apart_from_those_beside_them() -> None:
    both = [("prepare.train", "5"), ("train.epochs", "2")]
    first = Setting("worlds", "small", tuple(both))
    second = Setting("worlds", "small", (both[0], ("train.epochs", "3")))
    other = Setting("worlds", "large", tuple(both))
    assert named_apart({first: 1, second: 2, other: 3}) == {
        Setting("worlds", "small", (("train.epochs", "2"),)): 1,
        Setting("worlds", "small", (("train.epochs", "3"),)): 2,
        Setting("worlds", "large"): 3,
    }


def test_other_questions_under_the_same_parameters_are_kept_apart(repository: Repository) -> None:
    repository.experiment("a", TABLE, questions="aaaaaaaaaa")
    repository.experiment("b", TABLE, questions="bbbbbbbbbb", trace_mode="none")
    found = grid(repository)
    assert [setting.label for setting in found.settings] == [
        "small on worlds, questions aaaaaaa",
        "small on worlds, questions bbbbbbb",
    ]
    assert not_paired(found.settings) == [
        "small on worlds: questions is aaaaaaa / bbbbbbb; kept apart, as they answered different "
        "questions"
    ]


def test_what_is_missing_is_a_command_for_each_set_of_seeds(repository: Repository) -> None:
    for seed in (0, 1):
        repository.experiment(f"n{seed}", TABLE, trace_mode="none", seed=seed)
    repository.experiment("c", TABLE, trace_mode="correct", seed=0)
    repository.experiment("m", TABLE, trace_mode="mixed", corruption=0.2, seed=1)
    assert missing_commands(grid(repository), CURRENT) == [
        "dvc exp run --queue -S trace_mode=correct -S seed=1",
        "dvc exp run --queue -S trace_mode=mixed -S corruption=0.2 -S seed=0",
    ]


def test_models_never_run_on_a_data_set_are_missing(repository: Repository) -> None:
    repository.experiment("a", TABLE)
    repository.experiment("b", TABLE, model="large", dataset="dates")
    assert missing_commands(grid(repository), CURRENT) == [
        "dvc exp run --queue -S model=large -S trace_mode=correct -S seed=0",
        "dvc exp run --queue -S dataset=dates -S trace_mode=correct -S seed=0",
    ]


def test_a_complete_grid_lacks_nothing(repository: Repository) -> None:
    repository.experiment("a", TABLE)
    assert missing_commands(grid(repository), CURRENT) == []


@pytest.mark.parametrize(
    ("value", "part"),
    [
        (1e-05, "-S train.rate=1e-05"),
        (None, "-S train.rate=null"),
        ([1, 2], "-S 'train.rate=[1,2]'"),
        ("a b", "# and set by hand: train.rate"),
        ("$(touch x)", "# and set by hand: train.rate"),
    ],
)
def test_a_command_sets_what_differs_from_params_yaml(
    repository: Repository, value: object, part: str
) -> None:
    repository.experiment("a", TABLE, train={"epochs": 2, "rate": value})
    (experiment,) = collect(repository.save().path).experiments
    command = rerun_command(experiment, {**CURRENT, "train.rate": 0.5})
    assert part in command
    assert "epochs" not in command
