"""What may be compared with what, and what has not been run."""

import pytest
from repository import experiment

from tracekd.comparison.grid import Cell, arrange, missing, not_paired


def keys(grid):
    return {
        cell.label: [(regime.label, seed) for regime, seed in runs] for cell, runs in grid.items()
    }


def test_experiments_are_sorted_into_cells_with_regimes_and_doses_in_order():
    grid = arrange(
        [
            experiment("a", trace_mode="mixed", corruption=1.0),
            experiment("b", trace_mode="mixed", corruption=0.25),
            experiment("c", trace_mode="mixed", corruption=1, seed=1),
            experiment("d", trace_mode="shuffled", corruption=0.9),
            experiment("e", trace_mode="none", seed=1),
            experiment("f", trace_mode="none", corruption=0.2),
            experiment("g", model="large"),
        ]
    )
    assert keys(grid) == {
        "large on worlds": [("correct", 0)],
        "small on worlds": [
            *[("none", 0), ("none", 1), ("shuffled", 0)],
            *[("mixed 0.25", 0), ("mixed 1", 0), ("mixed 1", 1)],
        ],
    }


def test_experiments_with_the_same_key_are_newest_first():
    grid = arrange([experiment("older", time=1), experiment("newer", time=2)])
    assert [[one.name for one in same] for same in grid[Cell("worlds", "small")].values()] == [
        ["newer", "older"]
    ]


def test_every_other_parameter_that_differs_makes_another_cell():
    grid = arrange(
        [
            experiment("a"),
            experiment("b", train={"epochs": 3}),
            experiment("c", data_seed=1, questions="other"),
        ]
    )
    assert [cell.rest for cell in grid] == [
        (("data_seed", "0"), ("train.epochs", "2")),
        (("data_seed", "0"), ("train.epochs", "3")),
        (("data_seed", "1"), ("train.epochs", "2")),
    ]
    assert not_paired(grid) == [
        "small on worlds: data_seed is 0 / 1, so the test questions differ",
        "small on worlds: train.epochs is 2 / 3, so more than regime and seed differ",
    ]


@pytest.mark.parametrize(
    ("one", "other", "cells"), [(2, 2.0, 1), ([1, 0], [1.0, 0], 1), (1, True, 2)]
)
def test_a_number_is_one_value_however_it_is_written(one, other, cells):
    grid = arrange(
        [experiment("a", train={"epochs": one}), experiment("b", train={"epochs": other}, seed=1)]
    )
    assert len(grid) == cells


def test_the_hash_of_a_path_makes_a_cell_but_not_the_path_itself():
    made = [
        experiment(
            "x", seed=seed, entry={"models.yaml": {"small": {"path": path, "sha256": hash_}}}
        )
        for seed, (path, hash_) in enumerate([("/a", "12"), ("/b", "12"), ("/a", "34")])
    ]
    grid = arrange(made)
    assert {cell.rest: len(runs) for cell, runs in grid.items()} == {
        (("models.yaml:small.sha256", '"12"'),): 2,
        (("models.yaml:small.sha256", '"34"'),): 1,
    }


def test_other_questions_under_the_same_parameters_make_another_cell():
    grid = arrange(
        [
            experiment("a", questions="aaaaaaaaaa"),
            experiment("b", questions="bbbbbbbbbb", trace_mode="none"),
        ]
    )
    assert list(keys(grid)) == [
        "small on worlds, questions aaaaaaa",
        "small on worlds, questions bbbbbbb",
    ]


def test_missing_regimes_and_seeds_are_listed_by_cell():
    grid = arrange(
        [
            experiment("a", trace_mode="none", seed=0),
            experiment("b", trace_mode="none", seed=1),
            experiment("c", trace_mode="mixed", corruption=0.2, seed=1),
            *(
                experiment(f"d{seed}", model="large", trace_mode="none", seed=seed)
                for seed in (0, 1)
            ),
        ]
    )
    assert missing(grid) == [
        "large on worlds: mixed 0.2 seed 0, 1",
        "small on worlds: mixed 0.2 seed 0",
    ]
    assert missing(arrange([experiment("a")])) == []
