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


@pytest.mark.slow
def test_every_phase_of_the_gpu_benchmark_runs_on_a_cpu_without_what_gpu_machines_lack() -> None:
    absent = ["dvc", "dvclive", "matplotlib", "polars", "statsmodels", "typer"]
    code = (
        f"import runpy, sys; sys.modules.update(dict.fromkeys({absent}));"
        "sys.argv = ['gpu.py', '--dry-run']; runpy.run_path('benchmarks/gpu.py', None, '__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=FOLDER.parent, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results = json.loads(done.stdout.splitlines()[-1])["results"]
    assert [one for one in results if "failed" in one or not one.get("ok", True)] == []
    measured = {(one["model"], one["who"]) for one in results if "tokens/s" in one}
    shapes = ("llama", "qwen3", "llama_8b")
    assert {(shape, who) for shape in shapes for who in ("ours", "ours, compiled")} <= measured
    assert ("llama_8b", "ours, recompute") in measured
    assert {one["phase"] for one in results} >= {"environment", "correctness", "greedy", "speed"}
