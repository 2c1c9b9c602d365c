import pytest
from training_runs import Workshop


@pytest.fixture(autouse=True)
def cache(model_cache):
    """Keep tiny models for all tests."""


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    """For models this small a second thread only waits for the first."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def workshop(tmp_path):
    return Workshop(tmp_path)
