"""A grid from plan to collection, in a real DVC project with quick stages."""

import os
import shutil
import signal
import subprocess
import sys

import httpx2
import pytest
from toy import Toy, wait_for


def test_a_grid_runs_comes_back_and_is_not_run_twice(project: Toy) -> None:
    assert "4 cells: 0 there, 0 on its way, 4 to run" in project.grid("plan").stdout
    assert "4 experiments submitted" in project.grid("submit").stdout
    assert project.ran()[:2] == ["prepare", "teach"]
    assert "nothing to submit" in project.grid("submit").stdout, "while it runs"
    wait_for(lambda: len(project.refs()) == 4)
    assert sorted(project.ran()[2:]).count("prepare") == 0, "tasks begin from the cache"
    wait_for(lambda: "4 experiments: 4 done" in project.grid("status").stdout)
    assert "4 of 4 experiments are here, data verified" in project.grid("collect").stdout
    for name in project.refs():
        assert project.run("git", "show", f"{ref_of(project, name)}:metrics/metrics.json").stdout
    # A change that no stage depends on, in a new commit.
    (project.path / "README.md").write_text("A readme.\n")
    project.commit("A readme")
    assert "nothing to submit" in project.grid("submit").stdout
    more = {"trace_mode": ["none", "correct"], "seed": "0..2"}
    project.settings(axes=more)
    planned = project.grid("plan").stdout
    assert "6 cells: 4 there, 0 on its way, 2 to run\nto run: about 4.0 hours" in planned
    assert list((project.path.parent / "scratch").glob("tracekd-*")) == []


def ref_of(project: Toy, name: str) -> str:
    listed = project.run("git", "for-each-ref", "--format=%(refname)", "refs/exps").stdout
    (ref,) = (line for line in listed.splitlines() if line.endswith(name))
    return ref


@pytest.fixture
def submitted(project: Toy) -> Toy:
    """A submitted grid whose tasks the test runs itself."""
    axes = {"trace_mode": ["none", "correct"], "seed": "0..1"}
    project.settings(axes=axes, launcher="none")
    assert "run this for each INDEX of 0 1 2 3" in project.grid("submit").stdout
    return project


@pytest.mark.slow
def test_a_stopped_task_resumes_from_its_checkpoint(submitted: Toy) -> None:
    (submitted.path / "hold").touch()
    for number, state in ((signal.SIGUSR1, "by SIGUSR1"), (signal.SIGTERM, "by SIGTERM")):
        before = len(submitted.ran())
        command = [sys.executable, "stages/grid.py", "work", str(submitted.folder), "0"]
        task = subprocess.Popen(command, cwd=submitted.path, env=os.environ)
        wait_for(lambda seen=before: "step 2" in submitted.ran()[seen:])
        task.send_signal(number)
        assert task.wait(60) == 0
        assert state in submitted.grid("status").stdout
    (submitted.path / "hold").unlink()
    submitted.work(0)
    steps = [line for line in submitted.ran() if line.startswith("step")]
    assert steps == ["step 0", "step 1", "step 2", "step 2", "step 2", "step 3"]
    assert len(submitted.refs()) == 1


@pytest.mark.slow
def test_a_task_killed_before_its_ref_was_pushed_publishes_what_the_cache_has(
    submitted: Toy,
) -> None:
    remote = submitted.path.parent / "remote.git"
    hook = remote / "hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho read-only >&2\nexit 1\n")
    hook.chmod(0o755)
    assert submitted.work(1, check=False).returncode == 1
    shown = submitted.grid("status").stdout
    assert "git push" in shown
    assert "1 failed" in shown
    hook.unlink()
    before = submitted.ran()
    submitted.work(1)
    assert "train" not in submitted.ran()[len(before) :]
    assert len(submitted.refs()) == 1
    submitted.work(1)  # once more: it is there
    assert submitted.ran()[len(before) :].count("analyze") <= 1


@pytest.mark.slow
def test_a_ref_is_pushed_only_after_its_data(submitted: Toy) -> None:
    store = submitted.path.parent / "store"
    shutil.rmtree(store, ignore_errors=True)
    store.write_text("no folder")
    assert submitted.work(0, check=False).returncode == 1
    assert submitted.refs() == []
    assert "dvc push" in submitted.grid("status").stdout
    store.unlink()
    submitted.work(0)
    assert len(submitted.refs()) == 1
    assert "1 of 4 experiments are here" in submitted.grid("collect").stdout


@pytest.mark.slow
def test_a_failed_task_shows_the_end_of_its_log_and_is_retried(submitted: Toy) -> None:
    (submitted.path / "broken").touch()
    assert submitted.work(2, check=False).returncode == 1
    shown = submitted.grid("status").stdout
    assert "| no luck" in shown
    assert "dvc exp run ended with status" in shown
    (submitted.path / "broken").unlink()
    assert "run this for each INDEX of 0 1 2 3" in submitted.grid("retry").stdout
    submitted.work(2)
    assert "1 done" in submitted.grid("status").stdout


@pytest.mark.slow
def test_collect_names_experiments_whose_data_is_gone(submitted: Toy) -> None:
    for index in (0, 1):
        submitted.work(index)
    cache, store = submitted.path / ".dvc/cache", submitted.path.parent / "store"
    shutil.rmtree(cache)
    assert "2 of 4 experiments are here" in submitted.grid("collect").stdout, "pulled"
    damaged = next(f for f in cache.rglob("*") if f.is_file() and f.read_bytes()[:5] == b"train")
    whole = damaged.read_bytes()
    damaged.chmod(0o644)
    damaged.write_bytes(whole[::-1])
    assert "2 of 4 experiments are here" in submitted.grid("collect").stdout, "pulled again"
    assert damaged.read_bytes() == whole
    shutil.rmtree(cache)
    refs = submitted.refs()
    contents = ((file, file.read_bytes()) for file in store.rglob("*") if file.is_file())
    next(f for f, text in contents if text[:5] == b"train" and b"none" in text).unlink()
    failed = submitted.grid("collect", check=False)
    assert failed.returncode == 1
    assert f"{refs[0]}: its data is missing: models/student" in failed.stderr
    assert "1 of 4 experiments are here" in failed.stderr


@pytest.mark.slow
def test_eight_tasks_push_at_once(project: Toy) -> None:
    project.settings(axes={"seed": "0..7"}, resources={"default": {"cores": 1}})
    (project.path / "hold").touch()
    project.grid("submit")
    command = [sys.executable, "stages/grid.py", "work", str(project.folder)]
    tasks = [
        subprocess.Popen([*command, str(index)], cwd=project.path, env=os.environ)
        for index in range(8)
    ]
    wait_for(lambda: project.ran().count("step 2") >= 8)
    (project.path / "hold").unlink()
    assert [task.wait(180) for task in tasks] == [0] * 8
    assert len(project.refs()) == 8
    shutil.rmtree(project.path / ".dvc/cache")
    assert "8 of 8 experiments are here" in project.grid("collect").stdout


@pytest.mark.slow
def test_cancelled_tasks_keep_their_checkpoints_and_are_retried(project: Toy) -> None:
    project.settings(axes={"seed": "0..1"}, local={"slots": 1})
    (project.path / "hold").touch()
    project.grid("submit")
    wait_for(lambda: "step 2" in project.ran())
    shown = project.grid("status").stdout
    assert ", train, 2/4 [00:01<00:03]" in shown
    assert "2 experiments: 1 running, 1 waiting" in shown
    assert "2 experiments cancelled" in project.grid("cancel").stdout
    wait_for(lambda: "2 experiments: 2 stopped" in project.grid("status").stdout)
    (project.path / "hold").unlink()
    assert "2 experiments submitted" in project.grid("retry").stdout
    wait_for(lambda: len(project.refs()) == 2)
    assert project.ran().count("step 1") == 2, "one of each experiment: none was repeated"


@pytest.mark.slow
def test_submissions_run_one_after_the_other_in_their_order(project: Toy) -> None:
    (project.path / "hold").touch()
    for seed in range(3):
        project.settings(axes={"seed": seed}, resources={"default": {"cores": 1}})
        project.grid("submit")
    wait_for(lambda: "step 2" in project.ran())
    assert project.ran().count("step 0") == 1, "the others wait"
    (project.path / "hold").unlink()
    wait_for(lambda: len(project.refs()) == 3)
    logs = project.path.glob(".grid/*/logs/*-correct-*.log")
    done = [log.name for log in sorted(logs, key=lambda log: log.stat().st_mtime)]
    assert [name.split("-")[3] for name in done] == ["0", "1", "2"]


@pytest.mark.slow
def test_results_go_to_object_storage(project: Toy, monkeypatch: pytest.MonkeyPatch) -> None:
    moto = pytest.importorskip("moto.server")
    server = moto.ThreadedMotoServer(port=0)
    server.start()
    try:
        host, port = server.get_host_and_port()
        address = f"http://{host}:{port}"
        for key in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
            monkeypatch.setenv(key, "test")
        monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
        httpx2.put(f"{address}/bucket").raise_for_status()
        project.run("dvc", "remote", "modify", "store", "url", "s3://bucket/grid")
        project.run("dvc", "remote", "modify", "store", "endpointurl", address)
        project.settings(axes={"seed": 0}, launcher="none")
        project.grid("submit")
        project.work(0)
        shutil.rmtree(project.path / ".dvc/cache")
        assert "1 of 1 experiments are here" in project.grid("collect").stdout
    finally:
        server.stop()


def test_a_full_or_missing_scratch_is_the_state_of_a_task(submitted: Toy) -> None:
    tasks = submitted.folder / "tasks.json"
    tasks.write_text(tasks.read_text().replace('"scratch": null', '"scratch": "/dev/null"'))
    assert submitted.work(0, check=False).returncode == 1
    assert "failed    smollm2" in submitted.grid("status").stdout
    assert "Not a directory: '/dev/null/" in submitted.grid("status").stdout


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("echo >> params.yaml", "1 files differ from the commit that tasks would run (params.yaml"),
        ("git remote remove origin", "git_remote"),
        ("dvc remote remove store && git commit -qam none", "there is no default DVC remote"),
        ("git remote set-url origin ../nowhere", "does not appear to be a git repository"),
    ],
)
def test_what_tasks_could_not_do_is_said_before_they_start(
    project: Toy, command: str, message: str
) -> None:
    project.run("sh", "-c", command)
    done = project.grid("submit", check=False)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert not (project.path / ".grid").exists()


def test_more_than_this_machine_has_is_refused(project: Toy) -> None:
    project.settings(axes={"seed": 0}, resources={"default": {"cores": 4096}})
    assert "too few for one experiment" in project.grid("submit", check=False).stderr
