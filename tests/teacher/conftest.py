"""A server and a project folder for every test of a teacher."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from server import Server


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback that replies at once."""
    with Server() as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture(autouse=True)
def project_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project root, where replies are kept."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path
