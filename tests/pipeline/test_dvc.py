"""What a change reruns, what experiments leave behind, and how fast nothing is done."""

import contextlib
import json
import os
import signal
import statistics
import time
from pathlib import Path

import pytest
import yaml
from checkout import Project, Varied, children_seconds, stages_run

STAGES = ["prepare", "decompose", "build-sft", "train", "infer", "analyze"]
AFTER_BUILD, AFTER_TRAIN = STAGES[2:], STAGES[3:]


def test_the_first_run_leaves_metrics_plots_and_a_clean_checkout(baseline: Project) -> None:
    metrics = json.loads((baseline.path / "metrics/metrics.json").read_text())
    assert metrics["answer"]["accuracy"] is not None
    assert (baseline.path / "plots/overview.png").read_bytes().startswith(b"\x89PNG")
    assert baseline.run("git", "status", "--porcelain").stdout == ""
    # What is no output of a stage is in no cache, and stale after a checkout. (stages/compare.py,
    # which other tests run in this folder, is no stage.)
    known = baseline.path / "plots", baseline.path / "metrics"
    written = {path for f in known for path in f.iterdir() if not path.name.startswith("compare")}
    assert written == {baseline.path / name for name in outputs_in(baseline, "plots", "metrics")}


@pytest.mark.slow
def test_a_fresh_clone_comes_to_the_same_bytes(baseline: Project, tmp_path: Path) -> None:
    baseline.run("git", "clone", "-q", str(baseline.path), str(tmp_path / "clone"))
    clone = Project(tmp_path / "clone")
    assert stages_run(clone.dvc("repro")) == STAGES
    assert outputs(clone) == outputs(baseline)
    metrics = "metrics/metrics.json"
    assert (clone.path / metrics).read_bytes() == (baseline.path / metrics).read_bytes()


def outputs_in(project: Project, *folders: str) -> set[str]:
    """Return the files and folders that stages list as outputs in `folders`."""
    lock = yaml.safe_load((project.path / "dvc.lock").read_text())
    paths = [out["path"] for stage in lock["stages"].values() for out in stage["outs"]]
    return {path for path in paths if Path(path).parts[0] in folders}


def outputs(project: Project) -> dict[str, str]:
    """Return the hash of every output, of which only run cards may differ: times stand in them."""
    lock = yaml.safe_load((project.path / "dvc.lock").read_text())
    outs = [out for stage in lock["stages"].values() for out in stage["outs"]]
    return {out["path"]: out["md5"] for out in outs if "metrics/run" not in out["path"]}


@pytest.mark.parametrize(
    ("old", "new", "first"),
    [
        ("trace_mode: correct", "trace_mode: incorrect", "build-sft"),
        ("backend: auto", "backend: transformers", "build-sft"),
        ("model: tiny_llama", "model: tiny_qwen3", "train"),
        ("enabled: false", "enabled: true", "infer"),
    ],
)
def test_a_param_concerns_the_stages_from_its_own_onward(
    baseline: Project, old: str, new: str, first: str
) -> None:
    params = baseline.path / "params.yaml"
    before = params.read_text()
    assert before.count(old) == 1
    params.write_text(before.replace(old, new))
    try:
        stale = json.loads(baseline.dvc("status", "--json").stdout)
    finally:
        params.write_text(before)
    assert min(map(STAGES.index, stale)) == STAGES.index(first)


def test_another_regime_runs_build_sft_onward_and_going_back_runs_nothing(
    baseline: Project, varied: Varied
) -> None:
    assert varied.stages == AFTER_BUILD
    before = (baseline.path / "metrics/metrics.json").read_bytes()
    assert b"gold_to_incorrect" not in before
    there = baseline.dvc("exp", "run", *varied.options)
    assert stages_run(there) == [], "what was run beside the checkout is not run again in it"
    metrics = json.loads((baseline.path / "metrics/metrics.json").read_text())
    assert metrics["probes"]["effects"]["gold_to_incorrect"]["n"] == 5
    # `-S` writes params.yaml anew, in DVC's own line lengths; nothing else may have changed.
    (baseline.path / "params.yaml").unlink()
    baseline.run("git", "checkout", "params.yaml")
    assert stages_run(baseline.dvc("repro")) == []
    assert (baseline.path / "metrics/metrics.json").read_bytes() == before
    assert baseline.run("git", "status", "--porcelain").stdout == ""


@pytest.mark.slow
def test_another_model_runs_train_onward(baseline: Project) -> None:
    there = baseline.dvc("exp", "run", "-S", "model=tiny_qwen3")
    assert stages_run(there) == AFTER_TRAIN
    assert stages_run(baseline.dvc("exp", "run", "-S", "model=tiny_llama")) == []


@pytest.mark.slow
def test_probes_run_infer_onward_and_their_effects_join_the_metrics(baseline: Project) -> None:
    before = baseline.dvc("metrics", "show", "--json").stdout
    assert "gold_to_incorrect" not in before
    switches = ("-S", "probes.enabled=true", "-S", "probes.limit=5")
    there = baseline.dvc("exp", "run", *switches)
    assert stages_run(there) == ["infer", "analyze"]
    metrics = json.loads((baseline.path / "metrics/metrics.json").read_text())
    assert metrics["probes"]["effects"]["gold_to_incorrect"]["n"] == 5
    back = baseline.dvc("exp", "run", "-S", "probes.enabled=false", "-S", "probes.limit=100")
    assert stages_run(back) == []
    assert baseline.dvc("metrics", "show", "--json").stdout == before


def test_an_edit_of_a_figure_runs_analyze_only(baseline: Project) -> None:
    figures = baseline.path / "src/tracekd/report/figures.py"
    before = figures.read_text()
    figures.write_text(before + "\n# A remark.\n")
    try:
        assert stages_run(baseline.dvc("repro")) == ["analyze"]
    finally:
        figures.write_text(before)
    assert stages_run(baseline.dvc("repro")) == []


def end_workers(project: Project) -> None:
    """Give DVC's workers time to leave, then kill: one that misses the word waits for ever."""
    patience = time.monotonic() + 15
    while any(map(alive, worker_ids(project))) and time.monotonic() < patience:
        time.sleep(0.5)
    for number in worker_ids(project):
        with contextlib.suppress(ProcessLookupError):
            os.kill(number, signal.SIGKILL)


def worker_ids(project: Project) -> list[int]:
    return [int(f.read_text()) for f in (project.path / ".dvc/tmp/exps/celery").glob("*.pid")]


def alive(number: int) -> bool:
    try:
        os.kill(number, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_queue_gives_experiments_that_can_be_compared(baseline: Project, varied: Varied) -> None:
    # DVC has the outputs of one; the other asks fewer probes.
    baseline.dvc("exp", "run", "--queue", *varied.options, "-S", "probes.limit=4,5")
    baseline.dvc("queue", "start", "-j", "2")
    deadline = time.monotonic() + 240
    try:
        while "Running" in (status := baseline.dvc("queue", "status").stdout) or "Queued" in status:
            assert time.monotonic() < deadline, status
            time.sleep(2)
    finally:
        end_workers(baseline)
    assert status.count("Success") == 2, status
    names = {}
    for revision in json.loads(baseline.dvc("exp", "show", "--json").stdout)[1]["experiments"]:
        data = revision["revs"][0]["data"]
        names[data["params"]["params.yaml"]["data"]["probes"]["limit"]] = revision["name"]
    # --all: a model of random weights may score 0 in both.
    compared = baseline.dvc("metrics", "diff", "--all", "--json", names[4], names[5])
    diff = json.loads(compared.stdout)["metrics/metrics.json"]
    assert "answer.accuracy" in diff
    numbers = [change for change in diff.values() if None not in (change["old"], change["new"])]
    assert numbers
    assert all("diff" in change for change in numbers)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("trace_mode=corect", "unknown regime 'corect'; did you mean correct"),
        ("dataset='\"$(touch x)\"'", "dataset"),
        # Without DVC these are tried in test_config.py and test_security.py.
        pytest.param("train.too_long=perhaps", "train.too_long", marks=pytest.mark.slow),
        pytest.param("dataset=../../x", "dataset", marks=pytest.mark.slow),
    ],
)
def test_a_wrong_param_is_one_clear_error_and_changes_nothing(
    baseline: Project, change: str, message: str
) -> None:
    params = baseline.path / "params.yaml"
    done = baseline.dvc("exp", "run", "-S", change, check=False)
    try:
        assert done.returncode != 0
        assert message in done.stdout + done.stderr
        assert not (baseline.path / "x").exists()
    finally:
        params.unlink()  # after DVC's stash git may take the changed file for the committed one
        baseline.run("git", "checkout", "-q", "--", ".")
        baseline.dvc("checkout", "-q")


def test_doing_nothing_takes_hardly_longer_than_bare_dvc(baseline: Project, tmp_path: Path) -> None:
    bare = Project(tmp_path)
    bare.run("git", "init", "-q")
    bare.dvc("init", "-q")
    bare.dvc("stage", "add", "-q", "-n", "nothing", "-o", "x", "touch x")
    bare.dvc("repro", "-q")
    ours, theirs = [], []
    for _ in range(3):
        for project, times in ((baseline, ours), (bare, theirs)):
            before = children_seconds()
            assert stages_run(project.dvc("repro")) == []
            times.append(children_seconds() - before)
    # A ratio: on a busy machine both take longer. benchmarks/pipeline.py prints the seconds.
    assert statistics.median(ours) < 1.8 * statistics.median(theirs), (ours, theirs)
