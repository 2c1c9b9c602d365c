"""The small project of the grid's tests."""

from pathlib import Path

import pytest
from toy import Toy, toy


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Toy:
    """A DVC project with quick stages and two remotes, and a folder for temporary checkouts."""
    (tmp_path / "scratch").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "scratch"))
    return toy(tmp_path)
