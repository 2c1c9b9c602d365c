"""Fixtures that several test modules share."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

ROOT = Path(__file__).resolve().parents[1]
# A busy machine is no failure.
settings.register_profile("tracekd", deadline=None)
settings.load_profile("tracekd")


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Compute in one thread: for tiny models a second one only waits for the first."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def model_cache(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Keep tiny models in one temporary folder for all tests, and ask no hub."""
    monkeypatch.setenv("TRACEKD_CACHE", str(tmp_path_factory.getbasetemp() / "model-cache"))
    # PEFT would ask the hub whether the adapter's folder, taken for a repository, has a tokenizer.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)


# Of a module: while Playwright runs, its event loop does, and other tests start loops of their own.
@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    """A Chromium that Playwright drives; TRACEKD_CHROMIUM may name it."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    names = ("chromium", "chromium-browser", "google-chrome")
    found = os.environ.get("TRACEKD_CHROMIUM") or next(filter(None, map(shutil.which, names)), None)
    if found is None:
        pytest.skip(f"no browser: none of {', '.join(names)} is installed; set TRACEKD_CHROMIUM")
    with sync_api.sync_playwright() as playwright:
        # Its sandbox needs a user of its own; the pages under test are ours.
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of real data and published generations: TRACEKD_REAL_DATA, or ../shared."""
    folder = Path(os.environ.get("TRACEKD_REAL_DATA", ROOT.parent / "shared"))
    if not (folder / "datasets").is_dir():
        pytest.skip(f"no datasets in {folder / 'datasets'}; set TRACEKD_REAL_DATA")
    return folder
