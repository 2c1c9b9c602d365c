"""SmolLM2 behind `transformers serve`, asked as a teacher over loopback."""

import importlib.util
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from worlds import MODELS, params, run_teacher, spec, tables

from tracekd.config import load_model
from tracekd.models.sources import locate

NEEDED = ("fastapi", "uvicorn")
MISSING = [name for name in NEEDED if importlib.util.find_spec(name) is None]
SERVE = "from transformers.cli.transformers import main; main()"


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[subprocess.Popen[bytes], str, str]]:
    """A running server, its address, and the name of its model."""
    folder = str(locate(load_model(MODELS, "smollm2")))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", SERVE, "serve", folder, "--port", str(port), "--device", "cpu"]
    with (tmp_path / "server.log").open("wb") as log:
        server = subprocess.Popen(
            command, stdout=log, stderr=log, env=os.environ | {"HF_HUB_OFFLINE": "1"}
        )
    try:
        for _ in range(240):
            assert server.poll() is None, (tmp_path / "server.log").read_text()
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5)
                break
            except (urllib.error.URLError, OSError):
                time.sleep(0.5)
        yield server, f"http://127.0.0.1:{port}/v1", folder
    finally:
        server.kill()
        server.wait()


@pytest.mark.slow
@pytest.mark.skipif(bool(MISSING), reason=f"transformers serve needs {' and '.join(MISSING)}")
def test_a_served_model_is_asked_once(served):
    server, url, model = served
    entry = spec(
        url,
        ("trace", "steps"),
        endpoint={"model": model, "concurrency": 2, "timeout": 300.0},
        sampling={"max_tokens": 48, "temperature": 0.0},
    )
    asked = tables(count=2)
    first = run_teacher(entry, asked, params(keep="all"))
    assert sorted(first.traces["kind"]) == ["steps"] * 4 + ["trace"] * 4
    assert first.manifest["replies"] == 8
    assert min(first.traces["completion_tokens"]) > 0
    server.kill()
    again = run_teacher(entry, asked, params(keep="all"))
    assert again.traces.equals(first.traces)
