"""The command on many experiments, from git and the cache to pictures."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from repository import Repository, scores

ROOT = Path(__file__).resolve().parents[2]
REGIMES = ("none", "class_only", "correct", "incorrect", "shuffled")


def processor_seconds() -> float:
    """Seconds that child processes computed: what the wall clock shows on an idle machine."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.slow
def test_200_experiments_of_1000_questions_take_under_20_seconds(repository: Repository) -> None:
    rng = np.random.default_rng(0)
    for index in range(200):
        regime = REGIMES[index % 5]
        answers = rng.random(1000) < 0.5
        traces = None if regime == "none" else (rng.random(1000) < 0.4).tolist()
        classes = [f"class {number % 11}" for number in range(1000)]
        repository.experiment(
            f"run-{index}",
            scores(answers.tolist(), traces, classes),
            trace_mode=regime,
            seed=index // 5 % 10,
            model=("small", "large")[index // 50 % 2],
            dataset=("worlds", "dates")[index // 100],
        )
    repository.save()
    (repository.path / ".dvc").mkdir(exist_ok=True)
    (repository.path / ".dvc" / "config").touch()
    start = processor_seconds()
    done = subprocess.run(
        [sys.executable, ROOT / "stages" / "compare.py", "--paper"],
        cwd=repository.path,
        env={key: value for key, value in os.environ.items() if not key.startswith("DVC_")},
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = processor_seconds() - start
    assert done.returncode == 0, done.stderr
    assert "200 experiments used, of 200 found" in done.stdout
    assert (repository.path / "plots/compare_effects.png").is_file()
    print(f"{seconds:.1f} s")
    assert seconds < 20
