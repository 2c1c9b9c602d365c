"""Two experiments on the same questions."""

import numpy as np
import pytest
from statsmodels.stats import contingency_tables

from tracekd.statistics.association import Counts
from tracekd.statistics.paired import detectable_difference, holm, mcnemar
from tracekd.statistics.values import Undefined


def test_mcnemar_by_hand_and_as_in_statsmodels() -> None:
    assert mcnemar(Counts(10, 1, 5, 10)) == pytest.approx(2 * (1 + 6) / 64)
    table = Counts(794, 86, 150, 570)
    theirs = contingency_tables.mcnemar(table.array, exact=True).pvalue
    assert mcnemar(table) == pytest.approx(theirs)


def test_two_experiments_that_agree_cannot_be_told_apart() -> None:
    assert isinstance(mcnemar(Counts(3, 0, 0, 4)), Undefined)


def test_holm_by_hand() -> None:
    family = {"a": 0.01, "b": 0.04, "c": Undefined("no row"), "d": 0.03}
    adjusted = holm(family)
    assert list(adjusted) == ["a", "b", "c", "d"]
    assert adjusted["a"] == pytest.approx(0.03)
    assert adjusted["b"] == pytest.approx(0.06)
    assert adjusted["c"] == Undefined("no row")
    assert adjusted["d"] == pytest.approx(0.06)
    assert holm({"a": Undefined("x")}) == {"a": Undefined("x")}


def test_what_is_detectable_is_found_with_the_promised_power() -> None:
    n, discordant = 400, 0.3
    difference = detectable_difference(n, discordant)
    assert isinstance(difference, float)
    # Connor's formula, solved the other way round.
    needed = (1.959964 * np.sqrt(0.3) + 0.841621 * np.sqrt(0.3 - difference**2)) ** 2
    assert needed / difference**2 == pytest.approx(n, rel=1e-4)
    rng = np.random.default_rng(6)
    cells = [(0.3 - difference) / 2, (0.3 + difference) / 2, 0.35, 0.35]
    draws = rng.multinomial(n, cells, size=1000)
    found = [
        mcnemar(Counts(c, a, b, d)) < 0.05 for a, b, c, d in ((*map(int, draw),) for draw in draws)
    ]
    assert 0.72 <= np.mean(found) <= 0.85


@pytest.mark.parametrize(("n", "discordant"), [(0, 0.5), (100, 0.0), (5, 0.2)])
def test_too_few_questions_detect_nothing(n: int, discordant: float) -> None:
    assert isinstance(detectable_difference(n, discordant), Undefined)
