"""Each target of guided.py for a minute, where atheris is installed."""

import subprocess
import sys
from pathlib import Path

import pytest
from formats import FORMATS
from texts import SETTINGS

TARGETS = ("grammar", "generations", *FORMATS, *SETTINGS)
GUIDED = Path(__file__).with_name("guided.py")


@pytest.mark.slow
@pytest.mark.parametrize("target", TARGETS)
def test_no_input_that_coverage_leads_to_breaks_a_reader(target: str, tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris is not installed (pip install -e '.[fuzz]')")
    command = [sys.executable, str(GUIDED), target, "-max_total_time=60", "-timeout=10"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
