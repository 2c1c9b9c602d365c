"""Which experiments are found, and which of them are chosen."""

import pytest
from repository import GONE, Repository, experiment, lock, scores

from tracekd.comparison import experiments
from tracekd.comparison.experiments import choose, collect, queue_states
from tracekd.errors import TracekdError
from tracekd.repository import find_cache

TABLE = scores([True, False])


@pytest.fixture(scope="module")
def repository(tmp_path_factory):
    """Two commits with the same run after another one, experiments, and what others left."""
    repository = Repository(tmp_path_factory.mktemp("repository"))
    repository.commit(TABLE, seed=8)
    repository.experiment("calm-newt", TABLE, trace_mode="none")
    repository.add(f"ab/{'0' * 38}/half-done", "stages: {}\n")
    # What DVC keeps of queued and failed experiments.
    repository.add("celery/stash", lock(GONE))
    repository.add("exec/EXEC_HEAD", lock(GONE))
    repository.commit(TABLE, seed=9)
    repository.commit(TABLE, seed=9)
    return repository.save()


def found(repository, *, all_commits=False):
    return [
        (one.name.split()[0], one.run.regime.label, one.run.replicate.seed)
        for one in collect(repository.path, all_commits=all_commits).experiments
    ]


def test_experiments_and_runs_of_commits_are_found_newest_first(repository):
    newest = [("commit", "correct", 9), ("calm-newt", "none", 0)]
    assert found(repository) == newest
    assert found(repository, all_commits=True) == [*newest, ("commit", "correct", 8)]
    assert list(collect(repository.path).rejected) == ["half-done"]


def test_an_uncommitted_run_is_found_once(repository):
    file = repository.path / "dvc.lock"
    try:
        file.write_text(lock(GONE, seed=5))
        assert found(repository)[0] == ("workspace", "correct", 5)
        assert len(found(repository)) == 3
        # The state after `dvc exp run`, and after a checkout.
        for seed, mode in ((0, "none"), (9, "correct")):
            file.write_text(lock(repository.keep(TABLE), seed=seed, trace_mode=mode))
            assert len(found(repository)) == 2
    finally:
        file.unlink()


def test_an_experiment_may_have_any_name(tmp_path):
    repository = Repository(tmp_path)
    for name in ("calm-newt", "workspace-of-ann"):
        repository.experiment(name, TABLE)
    found = collect(repository.save().path).experiments
    assert [one.name for one in found] == ["workspace-of-ann", "calm-newt"]


def test_a_folder_that_is_no_project_is_an_error(tmp_path):
    with pytest.raises(TracekdError, match="not a git repository"):
        collect(tmp_path)
    with pytest.raises(TracekdError, match="dvc cache dir"):
        find_cache(tmp_path)


def test_the_cache_is_where_the_configuration_puts_it(tmp_path):
    repository = Repository(tmp_path)
    (tmp_path / ".dvc/config").write_text("[cache]\n    dir = ../../elsewhere\n")
    assert find_cache(repository.path) == tmp_path.resolve().parent / "elsewhere"


def test_the_queue_is_counted_by_state(tmp_path, monkeypatch):
    assert queue_states(tmp_path) == {}
    (tmp_path / ".dvc/tmp/exps/celery").mkdir(parents=True)
    rows = [
        "3c4d5e6  kept       05:04 PM   Success",
        "1a2b3c4  calm-newt  05:02 PM   Failed",
        *["2b3c4d5             05:03 PM   Queued"] * 2,
    ]
    status = "\n".join(["Task     Name       Created    Status", *rows, "", "Worker status: 0"])
    monkeypatch.setattr(experiments, "dvc", lambda *_: status)
    assert queue_states(tmp_path) == {"queued": 2, "failed": 1}


MADE = [
    experiment("a", trace_mode="none"),
    experiment("b", trace_mode="mixed", corruption=0.2),
    experiment("c", trace_mode="mixed", corruption=0.8),
    experiment("d", trace_mode="none", dataset="others"),
]


def test_filters_choose_experiments():
    a, b, c, _ = MADE
    assert choose(MADE, regimes=["mixed"]) == [b, c]
    assert choose(MADE, regimes=["mixed 0.2"]) == [b]
    assert choose(MADE, models=["small"], datasets=["worlds"]) == [a, b, c]


@pytest.mark.parametrize(
    ("wanted", "fault"),
    [
        ({"models": ["large"]}, r"--model: no experiment has 'large'; .*small"),
        ({"regimes": ["mixed", "nonee"]}, r"--regime: .*'nonee'; did you mean none"),
        ({"datasets": ["others"], "regimes": ["mixed"]}, "no experiment matches"),
    ],
)
def test_a_filter_that_leaves_nothing_is_an_error(wanted, fault):
    with pytest.raises(TracekdError, match=fault):
        choose(MADE, **wanted)


def test_a_baseline_must_be_a_regime_that_was_run():
    experiments.check_names("--baseline", ["none", "mixed 0.2"], experiments.regime_names(MADE))
    with pytest.raises(TracekdError, match=r"--baseline: .*'correct'"):
        experiments.check_names("--baseline", ["correct"], experiments.regime_names(MADE))
