"""What may be compared with what."""

from repository import experiment

from tracekd.comparison.cells import Cell, arrange, not_paired


def keys(experiments):
    return {
        cell.label: [(one.run.regime.label, one.run.replicate.label) for one in members]
        for cell, members in arrange(experiments).items()
    }


def test_experiments_are_sorted_into_cells_with_regimes_and_doses_in_order():
    mixed = [(1.0, 0), (0.25, 0), (1, 1)]
    found = keys(
        [
            *(experiment("a", trace_mode="mixed", corruption=c, seed=seed) for c, seed in mixed),
            experiment("d", trace_mode="shuffled", corruption=0.9),
            experiment("e", trace_mode="none", seed=1),
            experiment("f", trace_mode="none", corruption=0.2),
            experiment("g", model="large"),
        ]
    )
    small = [("none", "0"), ("none", "1"), ("shuffled", "0")]
    small += [("mixed 0.25", "0"), ("mixed 1", "0"), ("mixed 1", "1")]
    assert found == {"large on worlds": [("correct", "0")], "small on worlds": small}


def test_a_replicate_is_a_seed_and_a_training_sample():
    seeds = [(0, None), (0, 3), (1, 1), (1, 0), (0, 0)]
    found = keys(experiment("x", seed=seed, sample_seed=sample) for seed, sample in seeds)
    labels = ["0", "0", "0/3", "1/0", "1"]
    assert found == {"small on worlds": [("correct", label) for label in labels]}


def test_experiments_with_the_same_key_are_newest_first():
    cells = arrange([experiment("older", time=1), experiment("newer", time=2)])
    assert [one.name for one in cells[Cell("worlds", "small")]] == ["newer", "older"]


def test_every_other_parameter_that_differs_makes_another_cell():
    other = experiment("b", train={"epochs": 3})
    cells = arrange([experiment("a"), other, experiment("c", data_seed=1, questions="other")])
    assert [cell.rest for cell in cells] == [
        (("data_seed", data_seed), ("train.epochs", epochs))
        for data_seed, epochs in (("0", "2"), ("0", "3"), ("1", "2"))
    ]
    assert not_paired(cells) == [
        "small on worlds: data_seed is 0 / 1, so the test questions differ",
        "small on worlds: train.epochs is 2 / 3, so more than regime and seed differ",
    ]


def test_the_hash_of_a_path_makes_a_cell_but_not_the_path_itself():
    cells = arrange(
        experiment("x", entry={"models.yaml": {"small": {"path": path, "sha256": hash_}}})
        for path, hash_ in [("/a", "12"), ("/b", "12"), ("/a", "34")]
    )
    rest = [("models.yaml:small.sha256", f'"{hash_}"') for hash_ in ("12", "34")]
    assert [cell.rest for cell in cells] == [(each,) for each in rest]


def test_other_questions_under_the_same_parameters_make_another_cell():
    found = keys(experiment("x", questions=letter * 10) for letter in "ab")
    assert list(found) == [f"small on worlds, questions {letter * 7}" for letter in "ab"]
