"""Which experiments are found in git."""

import shutil
import subprocess
from pathlib import Path

import pytest
from repository import Repository, scores

from tracekd.comparison.experiments import (
    cache_dir,
    cached_file,
    check_baselines,
    choose,
    collect,
    current_params,
)
from tracekd.errors import TracekdError

TABLE = scores([True, False])


def test_experiments_and_committed_runs_are_found_newest_first(repository: Repository) -> None:
    repository.commit(TABLE, seed=8)
    repository.experiment("calm-newt", TABLE, trace_mode="none")
    repository.commit(TABLE, seed=9)
    found = collect(repository.save().path)
    assert [(one.regime, one.seed) for one in found.experiments] == [
        ("correct", 9),
        ("none", 0),
        ("correct", 8),
    ]
    assert found.experiments[1].name == "calm-newt"
    assert found.experiments[1].accuracy == 0.5
    assert found.experiments[0].name.startswith("commit ")
    assert found.rejected == {}


def test_queued_and_failed_experiments_do_not_appear(repository: Repository) -> None:
    repository.failed("stash")
    assert collect(repository.save().path).experiments == []


def test_commits_that_leave_the_run_as_it_was_count_once(repository: Repository) -> None:
    repository.commit(TABLE)
    repository.commit(TABLE)
    assert len(collect(repository.save().path).experiments) == 1


def test_an_experiment_whose_lock_is_no_whole_run_is_named(repository: Repository) -> None:
    repository.experiment("half-done", TABLE, text="stages: {}\n")
    found = collect(repository.save().path)
    assert found.experiments == []
    assert found.rejected == {
        "half-done": "dvc.lock has no data/scores.parquet: the analyze stage was not run"
    }


def test_a_project_in_a_folder_of_the_repository_is_found(repository: Repository) -> None:
    repository.commit(TABLE)
    repository.save()
    inner = repository.path / "inner"
    inner.mkdir()
    assert collect(inner).experiments == []


def test_a_folder_that_is_no_repository_is_told(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match="not a git repository"):
        collect(tmp_path)


def test_filters_choose_and_say_what_there_is(repository: Repository) -> None:
    repository.experiment("a", TABLE, trace_mode="none")
    repository.experiment("b", TABLE, trace_mode="mixed", corruption=0.2)
    found = collect(repository.save().path).experiments
    assert [one.name for one in choose(found, regimes=["mixed"])] == ["b"]
    assert [one.name for one in choose(found, models=["small"], datasets=["worlds"])] == ["b", "a"]
    with pytest.raises(TracekdError, match=r"--model: no experiment has 'large'; .*small"):
        choose(found, models=["large"])
    with pytest.raises(TracekdError, match=r"--regime: .*'nonee'; did you mean none"):
        choose(found, regimes=["mixed", "nonee"])
    repository.experiment("c", TABLE, trace_mode="none", dataset="others")
    found = collect(repository.save().path).experiments
    with pytest.raises(TracekdError, match=r"there are models small; .*regimes mixed 0.2, none"):
        choose(found, datasets=["others"], regimes=["mixed"])
    check_baselines(["none", "mixed"], found)
    with pytest.raises(TracekdError, match=r"--baseline: .*'correct'"):
        check_baselines(["correct"], found)
    with pytest.raises(TracekdError, match="dvc exp run --queue"):
        choose([])


def test_the_cache_is_where_the_configuration_says(tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    dvc = shutil.which("dvc")
    if dvc is None:
        pytest.skip("dvc is not on the path")
    subprocess.run([dvc, "init", "-q"], cwd=tmp_path, check=True)
    assert cache_dir(tmp_path) == tmp_path.resolve() / ".dvc/cache"
    subprocess.run([dvc, "cache", "dir", "--local", "../elsewhere"], cwd=tmp_path, check=True)
    assert cache_dir(tmp_path) == tmp_path.resolve().parent / "elsewhere"
    assert cached_file(Path("c"), "abcdef") == Path("c/files/md5/ab/cdef")


def test_a_folder_without_dvc_is_told(tmp_path: Path) -> None:
    with pytest.raises(TracekdError, match="dvc cache dir"):
        cache_dir(tmp_path)


def test_current_params_name_the_entries_of_other_files(repository: Repository) -> None:
    (repository.path / "datasets.yaml").write_text("worlds: {options: {hops: 2}}\n")
    found = current_params(repository.path)
    assert found["train.epochs"] == 2
    assert found["datasets.yaml:worlds.options.hops"] == 2
    (repository.path / "models.yaml").write_text("a: [\n")
    with pytest.raises(TracekdError, match=r"models\.yaml: not valid YAML"):
        current_params(repository.path)
