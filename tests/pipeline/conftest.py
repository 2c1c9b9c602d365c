"""One shrunk checkout of the project for all tests that run DVC in it."""

import pytest
from checkout import ROOT, Project, checkout, stages_run


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """One checkout for all tests that leave its files as they found them."""
    if not (ROOT / ".git").exists():
        pytest.skip("needs the project as a git checkout")
    return checkout(tmp_path_factory.mktemp("project"))


@pytest.fixture(scope="session")
def baseline(project: Project) -> Project:
    """The project after its first `dvc repro`, committed."""
    done = project.dvc("repro")
    assert stages_run(done) == ["prepare", "decompose", "build-sft", "train", "infer", "analyze"]
    project.commit("First run")
    return project
