"""A server and a project folder for every test of a teacher."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from server import Server, serving


@pytest.fixture
def server() -> Iterator[Server]:
    """A server on loopback that replies at once."""
    with serving() as running:
        yield running


@pytest.fixture(autouse=True)
def project_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The project root, where replies are kept."""
    monkeypatch.setenv("DVC_ROOT", str(tmp_path))
    return tmp_path
