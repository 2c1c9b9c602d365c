"""Comparing real experiments: what DVC left in git and its cache, and the commands for the rest."""

import json
import shlex
import sys
from typing import Any

from checkout import Project, Varied


def compare(project: Project, *options: str) -> dict[str, Any]:
    project.run(sys.executable, "stages/compare.py", *options)
    found: dict[str, Any] = json.loads((project.path / "metrics/compare.json").read_text())
    return found


def test_the_committed_run_and_experiments_are_compared(baseline: Project, varied: Varied) -> None:
    found = compare(baseline)
    assert found["experiments"]["used"] == 2
    (setting,) = found["results"].values()
    assert (setting["model"], setting["dataset"]) == ("tiny_llama", "babi_sim")
    metrics = json.loads((baseline.path / "metrics/metrics.json").read_text())
    correct = setting["regimes"]["correct"]
    assert correct["answer"]["mean"] == metrics["answer"]["accuracy"]
    assert correct["n"] == metrics["n"] == setting["regimes"]["incorrect"]["n"]
    assert list(setting["paired"]) == ["incorrect - correct"]
    assert found["other_code"] == {}
    assert baseline.run("git", "status", "--porcelain").stdout == ""
    for name in ("regimes", "effects", "link"):
        assert (baseline.path / f"plots/compare_{name}.png").is_file()


def test_the_commands_for_what_is_missing_queue_just_that(
    baseline: Project, varied: Varied
) -> None:
    missing = compare(baseline)["missing"]
    assert missing == [
        "dvc exp run --queue -S trace_mode=correct -S seed=1",
        "dvc exp run --queue -S trace_mode=incorrect -S seed=0",
    ]
    try:
        for command in missing:
            baseline.run(*shlex.split(command))
        assert baseline.dvc("queue", "status").stdout.count("Queued") == 2
        assert compare(baseline)["experiments"]["used"] == 2
    finally:
        baseline.dvc("queue", "remove", "--queued")


def test_filters_and_the_paper(baseline: Project, varied: Varied) -> None:
    found = compare(baseline, "--regime", "correct", "--paper")
    (setting,) = found["results"].values()
    assert list(setting["regimes"]) == ["correct"]
    assert found["missing"] == []
    assert found["paper"]["claims"]["nearly_independent"]["verdict"] in (
        "supports",
        "contradicts",
        "cannot decide",
    )
    done = baseline.run(sys.executable, "stages/compare.py", "--model", "gpt", check=False)
    assert done.returncode == 1
    assert "no experiment has 'gpt'; Known: tiny_llama" in done.stderr
