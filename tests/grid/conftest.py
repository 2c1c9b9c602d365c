"""The small project of the grid's tests."""

from pathlib import Path

import pytest
from toy import Toy, toy


@pytest.fixture
def project(tmp_path: Path) -> Toy:
    """A DVC project with quick stages and two remotes."""
    return toy(tmp_path)
