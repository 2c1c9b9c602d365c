"""Comparing real experiments: what DVC left in git and its cache."""

import json
import sys

from checkout import Project


def test_the_committed_run_and_experiments_are_compared_with_the_paper(
    baseline: Project, incorrect: list[str]
) -> None:
    baseline.run(sys.executable, "stages/compare.py", "--dataset", "babi_sim", "--paper")
    found = json.loads((baseline.path / "metrics/compare.json").read_text())
    assert found["experiments"]["used"] == 2
    (cell,) = found["results"].values()
    assert (cell["model"], cell["dataset"]) == ("tiny_llama", "babi_sim")
    metrics = json.loads((baseline.path / "metrics/metrics.json").read_text())
    correct = cell["regimes"]["correct"]
    assert correct["answer"]["mean"] == metrics["answer"]["accuracy"]
    assert correct["n"] == metrics["n"] == cell["regimes"]["incorrect"]["n"]
    assert list(cell["paired"]) == ["incorrect - correct"]
    # Random weights never end an output.
    assert ["of the outputs were cut off" in warning for warning in found["warnings"]] == [True] * 2
    verdict = found["paper"]["claims"]["nearly_independent"]["verdict"]
    assert verdict in ("supports", "contradicts", "cannot decide")
    assert baseline.run("git", "status", "--porcelain").stdout == ""
    for name in ("regimes", "effects", "association"):
        assert (baseline.path / f"plots/compare_{name}.png").is_file()


def test_a_filter_that_no_experiment_passes_is_an_error(baseline: Project) -> None:
    done = baseline.run(sys.executable, "stages/compare.py", "--model", "gpt", check=False)
    assert done.returncode == 1
    assert "no experiment has 'gpt'; Known: tiny_llama" in done.stderr
