"""One small checkout of the project for all tests that run DVC in it, and the runs they share.

The runs take a minute or two, in processes of their own; they begin before the first test of any
folder and proceed beside the others.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from checkout import ROOT, STAGES, Project, checkout, environment

#: The process of the shared runs, and the folder that they are in.
RUNS = pytest.StashKey[tuple["subprocess.Popen[bytes]", Path]]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Begin the runs that the chosen tests share."""
    wanted = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if (
        "baseline" not in wanted
        or session.config.option.collectonly
        or not (ROOT / ".git").exists()
    ):
        return
    folder = Path(tempfile.mkdtemp(prefix="tracekd-tests-"))
    command = [sys.executable, str(ROOT / "tests/pipeline/checkout.py"), str(folder)]
    command += ["incorrect"] * ("incorrect" in wanted)
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=environment(), stdout=log, stderr=log, start_new_session=True
        )
    session.config.stash[RUNS] = process, folder


def pytest_unconfigure(config: pytest.Config) -> None:
    """End what still runs, and delete it."""
    if RUNS in config.stash:
        process, folder = config.stash[RUNS]
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def runs(pytestconfig: pytest.Config) -> dict[str, Any]:
    """The folder of the shared runs, and which stages each of them ran."""
    if RUNS not in pytestconfig.stash:
        pytest.skip("needs the project as a git checkout")
    process, folder = pytestconfig.stash[RUNS]
    if process.wait():
        pytest.fail((folder / "log").read_text())
    return {"folder": folder, **json.loads((folder / "stages.json").read_text())}


@pytest.fixture(scope="session")
def project(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One checkout for all tests that leave its files as they found them."""
    if RUNS in request.config.stash:
        return Project(request.getfixturevalue("runs")["folder"] / "project")
    if not (ROOT / ".git").exists():
        pytest.skip("needs the project as a git checkout")
    return checkout(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def imports(runs: dict[str, Any]) -> Path:
    """The folder that lists what the stages of the first run imported."""
    return Path(runs["folder"], "imports")


@pytest.fixture(scope="session")
def baseline(runs: dict[str, Any], project: Project) -> Project:
    """The project after its first `dvc repro`, with probes, committed."""
    assert runs["repro"] == STAGES
    return project


@pytest.fixture(scope="session")
def incorrect(runs: dict[str, Any]) -> list[str]:
    """The stages run by the experiment `incorrect` beside the checkout."""
    return list(runs["incorrect"])
