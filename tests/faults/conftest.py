"""One undisturbed run of the pipeline, and its stages' inputs, for all tests of this folder."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from checkout import ROOT
from driver import Pipeline, Run, undisturbed


@pytest.fixture(scope="session")
def model_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache for the models of all tests; never the user's own."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, model_cache: Path) -> None:
    _set(monkeypatch, model_cache)


@pytest.fixture(autouse=True)
def runs() -> Iterator[None]:
    """Kill what a test that failed has left running or stopped."""
    yield
    while Run.started:
        Run.started.pop().kill()


@pytest.fixture(scope="session")
def pipeline(tmp_path_factory: pytest.TempPathFactory, model_cache: Path) -> Pipeline:
    if not (ROOT / ".git").exists():
        pytest.skip("needs the project as a git checkout")
    with pytest.MonkeyPatch.context() as patch:
        _set(patch, model_cache)
        return undisturbed(tmp_path_factory.mktemp("undisturbed"))


def _set(patch: pytest.MonkeyPatch, model_cache: Path) -> None:
    patch.setenv("TRACEKD_CACHE", str(model_cache))
    patch.setenv("TRACEKD_CHECKPOINT_SECONDS", "0")
    # Tiny models gain nothing by threads, and lose much by them where other work is at the cores.
    patch.setenv("OMP_NUM_THREADS", "1")
