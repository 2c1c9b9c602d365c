"""One small checkout of the project for all tests that run DVC in it, and the runs they share."""

import os
from pathlib import Path

import pytest
from checkout import OTHER, ROOT, STAGES, Project, checkout, stages_run

#: Writes the files that each stage's process imported, beside this file.
TRACER = """
import atexit, json, os, pathlib, sys
def write():
    script = pathlib.Path(getattr(sys, "argv", [""])[0])
    if script.parent.name == "stages":
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        note = pathlib.Path(__file__).with_name(f"{script.name}-{os.getpid()}.json")
        note.write_text(json.dumps([file for file in files if file]))
atexit.register(write)
"""


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One checkout for all tests that leave its files as they found them."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the project as a git checkout")
    return checkout(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def imports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that lists what the stages of the first run imported."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "sitecustomize.py").write_text(TRACER)
    return folder


@pytest.fixture(scope="session")
def baseline(project: Project, imports: Path) -> Project:
    """The project after its first `dvc repro`, with probes, committed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(imports), prepend=os.pathsep)
        done = project.dvc("repro")
    assert stages_run(done) == STAGES
    project.commit("First run")
    return project


@pytest.fixture(scope="session")
def incorrect(baseline: Project) -> list[str]:
    """The stages run by the experiment `incorrect` beside the checkout."""
    return stages_run(baseline.dvc("exp", "run", "--temp", "-n", "incorrect", *OTHER))
