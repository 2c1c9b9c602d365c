"""One shrunk checkout of the project for all tests that run DVC in it, and the runs they share."""

import os
from pathlib import Path

import pytest
from checkout import ROOT, Project, Varied, checkout, stages_run

#: Leaves a note of what each stage's process imported, beside this file.
TRACER = """
import atexit, json, os, pathlib, sys
def tell():
    script = pathlib.Path(getattr(sys, "argv", [""])[0])
    if script.parent.name == "stages":
        files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
        note = pathlib.Path(__file__).with_name(f"{script.name}-{os.getpid()}.json")
        note.write_text(json.dumps([file for file in files if file]))
atexit.register(tell)
"""
#: Another regime and seed, and probes: what differs most from the first run of this folder.
CHANGES = ("trace_mode=incorrect", "seed=1", "probes.enabled=true", "probes.limit=5")


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One checkout for all tests that leave its files as they found them."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the project as a git checkout")
    return checkout(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def imports(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the notes of what the stages of the first run imported."""
    folder = tmp_path_factory.mktemp("imports")
    (folder / "sitecustomize.py").write_text(TRACER)
    return folder


@pytest.fixture(scope="session")
def baseline(project: Project, imports: Path) -> Project:
    """The project after its first `dvc repro`, committed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(imports), prepend=os.pathsep)
        done = project.dvc("repro")
    assert stages_run(done) == ["prepare", "decompose", "build-sft", "train", "infer", "analyze"]
    project.commit("First run")
    return project


@pytest.fixture(scope="session")
def varied(baseline: Project) -> Varied:
    """An experiment with `CHANGES`, made beside the checkout."""
    options = tuple(part for change in CHANGES for part in ("-S", change))
    done = baseline.dvc("exp", "run", "--temp", "-n", "varied", *options)
    return Varied(options, stages_run(done))
