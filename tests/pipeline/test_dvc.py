"""What a change reruns, what experiments leave, and how long doing nothing takes."""

import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml
from checkout import OTHER, ROOT, STAGES, Project, children_seconds, stages_run

METRICS = "metrics/metrics.json"


def numbers(metrics: object) -> int:
    """Return the number of leaves of a JSON value."""
    if isinstance(metrics, dict):
        return sum(map(numbers, metrics.values()))
    return 1


def test_the_first_run_leaves_metrics_plots_and_a_clean_checkout(baseline: Project) -> None:
    metrics = json.loads((baseline.path / METRICS).read_text())
    assert metrics["answer"]["accuracy"] is not None
    assert numbers(metrics) <= 25, "what dvc metrics diff prints must fit a screen"
    assert (baseline.path / "plots/overview.png").read_bytes().startswith(b"\x89PNG")
    assert baseline.run("git", "status", "--porcelain").stdout == ""
    # A file that is no out of a stage is cached nowhere, and out of date after a checkout.
    folders = baseline.path / "plots", baseline.path / "metrics"
    written = {path for f in folders for path in f.iterdir() if not path.name.startswith("compare")}
    assert written == {
        baseline.path / name for name in outs(baseline) if name.startswith(("plots/", "metrics/"))
    }


def outs(project: Project) -> dict[str, str]:
    """Return the hash of every out of every stage."""
    lock = yaml.safe_load((project.path / "dvc.lock").read_text())
    return {out["path"]: out["md5"] for stage in lock["stages"].values() for out in stage["outs"]}


@pytest.mark.slow
def test_a_fresh_clone_comes_to_the_same_bytes(baseline: Project, tmp_path: Path) -> None:
    baseline.run("git", "clone", "-q", str(baseline.path), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    assert stages_run(clone.dvc("repro")) == STAGES
    # Run cards contain times.
    ours, theirs = (
        {path: value for path, value in outs(each).items() if "metrics/run" not in path}
        for each in (clone, baseline)
    )
    assert ours == theirs
    assert (clone.path / METRICS).read_bytes() == (baseline.path / METRICS).read_bytes()


@pytest.mark.parametrize(
    ("param", "first"),
    [
        ("data_seed", "prepare"),
        ("trace_mode", "build-sft"),
        ("sample_seed", "build-sft"),
        ("teacher.keep", "teach"),
        ("teacher.match", "build-sft"),
        ("wrong_facts", "build-sft"),
        ("model", "train"),
        ("infer.backend", "infer"),
        ("probes.limit", "probe"),
    ],
)
def test_a_param_concerns_the_stages_from_its_own_onward(param: str, first: str) -> None:
    stages = yaml.safe_load((ROOT / "dvc.yaml").read_text())["stages"]
    group = param.partition(".")[0]
    reading = [name for name in STAGES if {param, group} & {*map(str, stages[name]["params"])}]
    assert reading[0] == first


def test_an_edit_of_a_figure_reruns_only_analyze(baseline: Project) -> None:
    figures = baseline.path / "src/tracekd/report/figures.py"
    before = figures.read_text()
    figures.write_text(before + "\n# A remark.\n")
    try:
        assert list(json.loads(baseline.dvc("status", "--json").stdout)) == ["analyze"]
    finally:
        figures.write_text(before)


def test_another_regime_runs_build_sft_onward_and_going_back_runs_nothing(
    baseline: Project, incorrect: list[str]
) -> None:
    assert incorrect == STAGES[3:]
    before, outs_before = (baseline.path / METRICS).read_bytes(), outs(baseline)
    there = baseline.dvc("exp", "run", *OTHER)
    assert stages_run(there) == [], "what ran beside the checkout comes from the cache"
    changed = {path for path, value in outs(baseline).items() if value != outs_before[path]}
    assert {"data/sft/train.parquet", "models/student"} <= changed
    # `-S` rewrites params.yaml with DVC's own line lengths; nothing else may have changed.
    baseline.run("git", "checkout", "params.yaml")
    assert stages_run(baseline.dvc("repro")) == []
    assert (baseline.path / METRICS).read_bytes() == before
    assert baseline.run("git", "status", "--porcelain").stdout == ""


def test_metrics_diff_compares_two_regimes_on_one_screen(
    baseline: Project, incorrect: list[str]
) -> None:
    shown = baseline.dvc("metrics", "diff", "--all", "--json", "HEAD", "incorrect")
    found = json.loads(shown.stdout)
    diff = found.get("diff", found)[METRICS]
    assert "answer.accuracy" in diff
    assert len(diff) <= 25
    both = [change for change in diff.values() if None not in (change["old"], change["new"])]
    assert both
    assert all("diff" in change for change in both)


def test_a_wrong_param_is_one_clear_error_and_changes_nothing(baseline: Project) -> None:
    done = baseline.dvc("exp", "run", "-S", "dataset='\"$(touch x)\"'", check=False)
    try:
        assert done.returncode != 0
        assert "dataset" in done.stdout + done.stderr
        assert not (baseline.path / "x").exists()
    finally:
        (baseline.path / "params.yaml").unlink()  # git may mistake DVC's version for its own
        baseline.run("git", "checkout", "-q", "--", ".")
        baseline.dvc("checkout", "-q")


def test_doing_nothing_takes_hardly_longer_than_bare_dvc(baseline: Project, tmp_path: Path) -> None:
    bare = Project(tmp_path)
    bare.run("git", "init", "-q")
    bare.dvc("init", "-q")
    steps = {stage: {"cmd": f"touch {stage}", "outs": [stage]} for stage in STAGES}
    (tmp_path / "dvc.yaml").write_text(yaml.safe_dump({"stages": steps}))
    bare.dvc("repro", "-q")
    ours, theirs = [], []
    for _ in range(2):
        for project, times in ((baseline, ours), (bare, theirs)):
            before = children_seconds()
            assert stages_run(project.dvc("repro")) == []
            times.append(children_seconds() - before)
    # A ratio, since a busy machine slows down both; the lesser of two, since noise only adds.
    assert min(ours) < 1.8 * min(theirs), (ours, theirs)


@pytest.mark.slow
def test_a_queue_gives_experiments_that_can_be_compared(baseline: Project) -> None:
    baseline.dvc("exp", "run", "--queue", "-S", "trace_mode=incorrect", "-S", "probes.limit=3,4")
    baseline.dvc("queue", "start", "-j", "2")
    deadline = time.monotonic() + 240
    try:
        while "Running" in (status := baseline.dvc("queue", "status").stdout) or "Queued" in status:
            assert time.monotonic() < deadline, status
            time.sleep(2)
    finally:
        end_workers(baseline)
    failed = [line.split()[1] for line in status.splitlines() if line.endswith("Failed")]
    assert status.count("Success") == 2, "".join(
        baseline.dvc("queue", "logs", name).stdout for name in failed
    )


def end_workers(project: Project) -> None:
    """Give DVC's workers time to leave, then kill them: one that misses the signal never ends."""
    workers = [int(f.read_text()) for f in (project.path / ".dvc/tmp/exps/celery").glob("*.pid")]
    time.sleep(10)
    for number in workers:
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)
