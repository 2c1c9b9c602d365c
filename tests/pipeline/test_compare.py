"""Comparing real experiments: what DVC left in git and its cache, and the commands for the rest."""

import json
import shlex
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from checkout import Project


@pytest.fixture(scope="module")
def compared(baseline: Project) -> Iterator[Project]:
    """The committed run and one experiment beside it, in another regime with another seed."""
    before = experiments(baseline)
    baseline.dvc("exp", "run", "--temp", "-S", "trace_mode=class_only", "-S", "seed=1")
    yield baseline
    baseline.dvc("exp", "remove", *(experiments(baseline) - before))


def experiments(project: Project) -> set[str]:
    return set(project.dvc("exp", "list", "--name-only").stdout.split())


def compare(project: Project, *options: str) -> dict[str, Any]:
    project.run(sys.executable, "stages/compare.py", *options)
    found: dict[str, Any] = json.loads((project.path / "metrics/compare.json").read_text())
    return found


def test_the_committed_run_and_experiments_are_compared(compared: Project) -> None:
    found = compare(compared)
    assert found["experiments"]["used"] == 2
    (setting,) = found["results"].values()
    assert (setting["model"], setting["dataset"]) == ("tiny_llama", "babi_sim")
    metrics = json.loads((compared.path / "metrics/metrics.json").read_text())
    correct = setting["regimes"]["correct"]
    assert correct["answer"]["mean"] == metrics["answer"]["accuracy"]
    assert correct["n"] == metrics["n"] == setting["regimes"]["class_only"]["n"]
    assert list(setting["paired"]) == ["class_only - correct"]
    assert found["other_code"] == {}
    assert compared.run("git", "status", "--porcelain").stdout == ""
    for name in ("regimes", "effects", "link"):
        assert (compared.path / f"plots/compare_{name}.png").is_file()


def test_the_commands_for_what_is_missing_queue_just_that(compared: Project) -> None:
    missing = compare(compared)["missing"]
    assert missing == [
        "dvc exp run --queue -S trace_mode=class_only -S seed=0",
        "dvc exp run --queue -S trace_mode=correct -S seed=1",
    ]
    try:
        for command in missing:
            compared.run(*shlex.split(command))
        assert compared.dvc("queue", "status").stdout.count("Queued") == 2
        assert compare(compared)["experiments"]["used"] == 2
    finally:
        compared.dvc("queue", "remove", "--queued")


def test_filters_and_the_paper(compared: Project) -> None:
    found = compare(compared, "--regime", "correct", "--paper")
    (setting,) = found["results"].values()
    assert list(setting["regimes"]) == ["correct"]
    assert found["missing"] == []
    assert found["paper"]["claims"]["nearly_independent"]["verdict"] in (
        "supports",
        "contradicts",
        "cannot decide",
    )
    done = compared.run(sys.executable, "stages/compare.py", "--model", "gpt", check=False)
    assert done.returncode == 1
    assert "there are models tiny_llama" in done.stderr
