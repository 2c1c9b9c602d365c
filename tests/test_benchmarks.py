import json
import subprocess
import sys
from pathlib import Path

import pytest
from checkout import Project, checkout

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPTS = sorted(path.name for path in FOLDER.glob("[!_]*.py"))


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_says_what_is_measured(script: str) -> None:
    command = [sys.executable, str(FOLDER / script), "--help"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "JSON line" in " ".join(done.stdout.replace("│", " ").split())


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A checkout with the data and the student of a tiny run."""
    made = checkout(tmp_path_factory.mktemp("benchmarks"))
    made.dvc("repro", "train")
    return made


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        "train.py --model tiny_llama --methods lora,qlora,full --examples 4 --rounds 1 "
        "--batch-sizes 2",
        "train.py --model tiny_llama --methods lora,qlora,full --reference 5 --batch-sizes 2",
        "inference.py --questions 4 --new-tokens 8 --rounds 1 --authors 1",
        "marco.py --questions 300 --chosen 60",
        "pipeline.py --rounds 1",
        "calibration.py --runs 2",
    ],
)
def test_a_small_benchmark_ends_with_its_line_of_json(project: Project, command: str) -> None:
    script, *options = command.split()
    if script == "train.py":
        pytest.importorskip("trl", reason="TRL is not installed (pip install -e '.[peers]')")
    done = project.run(sys.executable, f"benchmarks/{script}", *options)
    last = json.loads(done.stdout.splitlines()[-1])
    assert last["benchmark"] == script.removesuffix(".py")
    assert last["results"]
