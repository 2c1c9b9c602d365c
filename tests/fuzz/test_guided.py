"""Each target of guided.py for a minute, where atheris is installed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

TARGETS = (
    "babi", "cotemp", "marco lines", "marco gzip", "marco array", "marco columns", "grammar",
    "generations", "params.yaml", "models.yaml", "datasets.yaml",
)  # fmt: skip
GUIDED = Path(__file__).with_name("guided.py")


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_no_input_that_coverage_leads_to_breaks_a_reader(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed (pip install -e '.[fuzz]')")
    command = [sys.executable, str(GUIDED), target, "-max_total_time=60", "-timeout=10"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=os.environ)
    assert done.returncode == 0, done.stderr[-3000:]
