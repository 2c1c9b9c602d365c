import pytest
from training_runs import Workshop


@pytest.fixture(autouse=True)
def tiny_models(model_cache, one_thread):
    """Keep tiny models for all tests, and train them in one thread."""


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)
