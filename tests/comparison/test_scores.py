"""Verdicts out of the cache, side by side."""

from pathlib import Path

from repository import Repository, scores

from tracekd.comparison.experiments import collect
from tracekd.comparison.grid import arrange
from tracekd.comparison.scores import Loaded, load


def loaded(repository: Repository) -> Loaded:
    return load(arrange(collect(repository.save().path).experiments), repository.cache)


def test_verdicts_are_seeds_by_questions(repository: Repository) -> None:
    repository.experiment("a", scores([True, False], [True, True], ["x", "y"]), seed=0)
    repository.experiment("b", scores([False, False], [False, True], ["x", "y"]), seed=1)
    repository.experiment("c", scores([True, True]), trace_mode="none")
    (setting,) = loaded(repository).settings.values()
    correct, none = setting.regimes["correct"], setting.regimes["none"]
    assert list(setting.classes) == ["where", "where"]
    assert correct.seeds == (0, 1)
    assert correct.measures["answer"].tolist() == [[1, 0], [0, 0]]
    assert correct.measures["trace"].tolist() == [[1, 1], [0, 1]]
    assert list(none.measures) == ["answer"]


def test_the_order_of_a_table_does_not_matter(repository: Repository) -> None:
    repository.experiment("a", scores([True, False]))
    repository.experiment("b", scores([True, False]).sort("id", descending=True), seed=1)
    (setting,) = loaded(repository).settings.values()
    assert setting.regimes["correct"].measures["answer"].tolist() == [[1, 0], [1, 0]]


def test_scores_that_are_not_in_the_cache_are_named(repository: Repository) -> None:
    repository.experiment("gone", "0" * 32)
    found = loaded(repository)
    assert [one.name for one in found.absent] == ["gone"]
    assert found.settings == {}


def test_a_table_of_other_questions_is_not_paired(repository: Repository) -> None:
    repository.experiment("short", scores([True, False]), trace_mode="none")
    repository.experiment("long", scores([True, False, True]))
    found = loaded(repository)
    (setting,) = found.settings.values()
    assert list(setting.regimes) == ["none"]
    assert found.unusable == {"long": "1 questions are not in both this and the first experiment"}


def test_the_newest_run_that_can_be_read_counts(repository: Repository) -> None:
    table = scores([True, False])
    repository.experiment("first", scores([False, False]))
    repository.experiment("second", table)
    repository.experiment("other-questions", scores([True, False, True]))
    repository.experiment("gone", "0" * 32)
    repository.experiment("none", table, trace_mode="none")
    found = loaded(repository)
    (setting,) = found.settings.values()
    assert setting.regimes["correct"].measures["answer"].tolist() == [[1, 0]]
    (cells,) = found.grid.settings.values()
    assert cells["correct", 0].name == "second"
    assert found.grid.superseded == {"first": "second"}
    assert [one.name for one in found.absent] == ["gone"]
    assert list(found.unusable) == ["other-questions"]
    assert found.stand_ins == {"other-questions": "second", "gone": "second"}


def test_of_runs_none_of_which_can_be_read_the_newest_is_named(repository: Repository) -> None:
    repository.experiment("old", "0" * 32)
    repository.experiment("new", "1" * 32)
    found = loaded(repository)
    assert [one.name for one in found.absent] == ["new"]
    assert found.grid.superseded == {"old": "new"}
    assert found.stand_ins == {}


def test_a_file_that_is_no_table_of_scores_is_named(repository: Repository, tmp_path: Path) -> None:
    repository.experiment("broken", scores([True]))
    (file,) = [path for path in repository.cache.rglob("*") if path.is_file()]
    file.write_bytes(b"PAR1")
    found = loaded(repository)
    assert "damaged, or no table" in found.unusable["broken"]
