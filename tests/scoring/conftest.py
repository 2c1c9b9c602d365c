"""A data set's entry that the tests of scoring share."""

import pytest

from tracekd.config import DatasetSpec


@pytest.fixture
def babi() -> DatasetSpec:
    return DatasetSpec(
        reader="babi",
        answer_metric="exact_match",
        answers="all",
        class_sentence="The category of the question is: {class}.",
        facts={"paper": "annotated"},
    )
