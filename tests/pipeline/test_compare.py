"""Comparing real experiments: what DVC left in git and its cache."""

import json
import sys
from typing import Any

from checkout import Project


def compare(project: Project, *options: str) -> dict[str, Any]:
    project.run(sys.executable, "stages/compare.py", *options)
    found: dict[str, Any] = json.loads((project.path / "metrics/compare.json").read_text())
    return found


def test_the_committed_run_and_experiments_are_compared(
    baseline: Project, incorrect: list[str]
) -> None:
    found = compare(baseline)
    assert found["experiments"]["used"] == 2
    (cell,) = found["results"].values()
    assert (cell["model"], cell["dataset"]) == ("tiny_llama", "babi_sim")
    metrics = json.loads((baseline.path / "metrics/metrics.json").read_text())
    correct = cell["regimes"]["correct"]
    assert correct["answer"]["mean"] == metrics["answer"]["accuracy"]
    assert correct["n"] == metrics["n"] == cell["regimes"]["incorrect"]["n"]
    assert list(cell["paired"]) == ["incorrect - correct"]
    assert (found["warnings"], found["missing"]) == ([], [])
    assert baseline.run("git", "status", "--porcelain").stdout == ""
    for name in ("regimes", "effects", "association"):
        assert (baseline.path / f"plots/compare_{name}.png").is_file()


def test_filters_and_the_paper(baseline: Project, incorrect: list[str]) -> None:
    found = compare(baseline, "--regime", "correct", "--paper")
    (cell,) = found["results"].values()
    assert list(cell["regimes"]) == ["correct"]
    verdict = found["paper"]["claims"]["nearly_independent"]["verdict"]
    assert verdict in ("supports", "contradicts", "cannot decide")
    done = baseline.run(sys.executable, "stages/compare.py", "--model", "gpt", check=False)
    assert done.returncode == 1
    assert "no experiment has 'gpt'; Known: tiny_llama" in done.stderr
