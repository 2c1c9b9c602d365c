"""A data set's entry that the tests of scoring share."""

import pytest
from tables import BABI

from tracekd.config import DatasetSpec


@pytest.fixture
def babi() -> DatasetSpec:
    return BABI
