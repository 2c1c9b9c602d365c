"""Verdicts from the cache and the workspace, side by side."""

import pytest
from repository import Repository, scores

from tracekd import records
from tracekd.comparison.cells import arrange
from tracekd.comparison.experiments import collect
from tracekd.comparison.locks import SCORES, DosedRegime
from tracekd.comparison.scores import load_scores


@pytest.fixture
def repository(tmp_path):
    return Repository(tmp_path)


def loaded(repository):
    found = collect(repository.save().path).experiments
    return load_scores(arrange(found), repository.store)


def test_verdicts_are_seeds_by_questions_in_the_order_of_ids(repository):
    repository.experiment("a", scores([True, False], [True, True], ["x", "y"]), seed=0)
    reverse = scores([False, True], [False, True], ["x", "y"]).sort("id", descending=True)
    repository.experiment("b", reverse, seed=1)
    repository.experiment("c", scores([True, True], None, ["x", "y"]), trace_mode="none")
    found = loaded(repository)
    (cell,) = found.cells.values()
    correct, none = (cell.regimes[DosedRegime(name)] for name in ("correct", "none"))
    assert list(cell.classes) == ["x", "y"]
    assert correct.replicates == ((0, 0), (1, 1))
    assert correct.measures["answer"].tolist() == [[1, 0], [0, 1]]
    assert correct.measures["trace"].tolist() == [[1, 1], [0, 1]]
    assert list(none.measures) == ["answer", "cut"]
    assert [one.name for one in cell.used] == ["c", "a", "b"]


def test_the_newest_readable_run_is_used_and_the_others_are_named(repository):
    table = scores([True, False])
    repository.experiment("none", table, trace_mode="none")
    repository.experiment("first", scores([False, False]))
    repository.experiment("second", table)
    repository.experiment("other-questions", scores([True, False, True]))
    repository.experiment("empty", scores([]))
    found = loaded(repository)
    (cell,) = found.cells.values()
    assert cell.regimes[DosedRegime("correct")].measures["answer"].tolist() == [[1, 0]]
    assert found.superseded == {"first": "second"}
    assert found.unusable == {
        "empty": "its table of scores has no rows",
        "other-questions": "1 questions are not in both this and the first experiment",
    }


def test_a_damaged_file_is_named(repository):
    repository.experiment("broken", scores([True]))
    (file,) = [path for path in repository.cache.rglob("*") if path.is_file()]
    file.write_bytes(b"PAR1")
    assert "not a Parquet file" in loaded(repository).unusable["broken"]


def test_scores_in_the_workspace_need_not_be_in_the_cache(repository):
    table = scores([True, False])
    repository.commit(table)
    (cached,) = [path for path in repository.cache.rglob("*") if path.is_file()]
    (one,) = collect(repository.save().path).experiments
    file = repository.path / SCORES
    assert repository.store.find(one, SCORES) == cached
    records.write(table, file, records.SCORES)
    cached.unlink()
    assert repository.store.find(one, SCORES) == file
    records.write(scores([True]), file, records.SCORES)
    assert repository.store.find(one, SCORES) is None
