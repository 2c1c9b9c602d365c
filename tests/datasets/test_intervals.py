from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.datasets.dated_facts import parse_fact
from tracekd.datasets.intervals import (
    Period,
    Stamp,
    clear_relation,
    relation,
)

DAYS = st.integers(date(1000, 1, 1).toordinal(), date(2999, 12, 31).toordinal())
STAMPS = st.builds(Stamp.of, DAYS, st.sampled_from(["year", "month", "day"]))


def in_order(start, end):
    return Period(min(start, end, key=lambda s: s.first), max(start, end, key=lambda s: s.first))


PERIODS = st.one_of(st.builds(Period, STAMPS), st.builds(in_order, STAMPS, STAMPS))


def period(text):
    found = parse_fact(f"A works for B {text}.").period
    assert found is not None
    return found


def test_a_coarse_date_covers_all_the_days_it_names():
    for text, first, last in (
        ("2014", date(2014, 1, 1), date(2014, 12, 31)),
        ("February, 2012", date(2012, 2, 1), date(2012, 2, 29)),
        ("March 11, 2014", date(2014, 3, 11), date(2014, 3, 11)),
        ("970", date(970, 1, 1), date(970, 12, 31)),
    ):
        assert period(f"in {text}") == Period(Stamp(first.toordinal(), last.toordinal()))


@pytest.mark.parametrize("text", ["", "soon", "0", "Mai, 2014", "February 30, 2014", "2014-03-11"])
def test_text_that_is_not_a_date_belongs_to_the_statement(text):
    undated = parse_fact(f"Ada Moor works for Orlo Mill in {text}.")
    assert undated == ("Ada Moor", "works for", f"Orlo Mill in {text}.", None)


@given(PERIODS)
def test_a_fact_survives_writing_and_reading(when):
    parts = "Ada Moor", "holds the position of", "mayor of York in May from 1999"
    assert parse_fact(f"{' '.join(parts)} {when}.") == (*parts, when)


@pytest.mark.parametrize(
    ("one", "other", "expected", "clear"),
    [
        ("from 2001 to 2004", "from 2001 to 2004", "equal", True),
        ("in 2001", "from January 1, 2001 to December 31, 2001", "equal", False),
        ("from 2002 to 2003", "from 2001 to 2004", "during", True),
        ("from 2002 to 2004", "from 2001 to 2004", "during", True),
        ("in March, 2003", "from 2001 to 2004", "during", True),
        ("from 2000 to 2002", "from 2001 to 2004", "overlap", True),
        ("from 2000 to 2001", "from 2001 to 2004", "overlap", False),
        ("from March, 2001 to 2004", "in 2001", "overlap", False),
        ("from 1999 to 2000", "from 2001 to 2004", None, True),
        ("in March 11, 2014", "in March 12, 2014", None, True),
    ],
)
def test_allen_relations_are_reduced_to_three_and_clear_if_coarse_ends_cannot_change_them(
    one, other, expected, clear
):
    assert relation(period(one), period(other)) == expected
    assert relation(period(other), period(one)) == expected
    assert clear_relation(period(one), period(other)) == (clear, expected)


@given(PERIODS, PERIODS)
def test_periods_are_related_if_and_only_if_they_share_a_day(one, other):
    shared = max(one.first, other.first) <= min(one.last, other.last)
    assert (relation(one, other) is not None) is shared
