"""Undefined numbers are null with a reason."""

import math

import pytest

from tracekd.statistics.values import Undefined, ratio, settle


def test_a_ratio_to_nothing_is_undefined():
    assert ratio(1, 4, "none") == 0.25
    assert ratio(0, 0, "none") == Undefined("none")


def test_settling_gives_null_and_the_reason_by_path():
    tree = {"a": {"b": Undefined("no row"), "c": 2 / 3}, "n": 3, "p": 1.23456789e-20}
    assert settle(tree) == (
        {"a": {"b": None, "c": 0.666667}, "n": 3, "p": 1.23457e-20},
        {"a.b": "no row"},
    )


def test_a_number_that_is_not_finite_never_reaches_a_file():
    with pytest.raises(ValueError, match="rate is nan"):
        settle({"rate": math.nan})
