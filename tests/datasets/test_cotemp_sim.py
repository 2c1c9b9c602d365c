"""Checks simulated dated facts by reading their text, without code of the simulator."""

import calendar
import re
from collections import Counter
from datetime import date
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekd import records
from tracekd.datasets import Wanted
from tracekd.datasets.readers.cotemp_sim import CLASSES, simulate
from tracekd.datasets.readers.cotemp_sim.wording import PATTERNS, TEST, TRAIN, Names
from tracekd.errors import TracekdError

MONTHS = list(calendar.month_name)
#: The words between subject and object in a fact, in the clause of the event, and in a question.
FRAMES = {
    "position": (
        " holds the position of ",
        " was holding the position of ",
        "position did (.+) hold",
    ),
    "party": (" is a member of the ", " was a member of ", "political party did (.+) belong to"),
    "employer": (" works for ", " was working for ", "employer did (.+) work for"),
    "school": (" attended ", " attended ", "school did (.+) attend"),
    "team": (" plays for ", " was playing for ", None),
    "owner": (" is owned by ", " was owned by ", None),
}
WHEN = (
    r"(?:at the same time|simultaneously|concurrently|during the (?:same|identical) time "
    r"(?:period|span)|within the same time interval)"
)
QUESTION = re.compile(rf"While (.+), (which|who) (.+?) {WHEN}\?")

#: Subject, relation, object, first and last day.
Read = tuple[str, str, str, date, date]


def days(text: str) -> tuple[date, date]:
    *month_and_day, year = text.replace(",", "").split()
    number = int(year)
    if not month_and_day:
        return date(number, 1, 1), date(number, 12, 31)
    month = MONTHS.index(month_and_day[0])
    if len(month_and_day) == 2:
        day = date(number, month, int(month_and_day[1]))
        return day, day
    return date(number, month, 1), date(number, month, calendar.monthrange(number, month)[1])


def read_fact(fact: str) -> Read:
    statement, _, dates = re.split(
        r" (from|in) (?=\w+(?: \d+)?(?:, \d+)?(?: to |\.$))", fact, maxsplit=1
    )
    start, _, end = dates.removesuffix(".").partition(" to ")
    ((relation, frame),) = [(r, f) for r, (f, *_) in FRAMES.items() if f in statement]
    subject, thing = statement.split(frame)
    return subject, relation, thing, days(start)[0], days(end or start)[1]


def split_event(event: str) -> tuple[str, str, str]:
    ((relation, frame),) = [(r, f) for r, (_, f, _) in FRAMES.items() if f in event]
    subject, thing = event.split(frame)
    return subject, relation, thing


def relate(one: Read, other: Read) -> str | None:
    if one[3:] == other[3:]:
        return "equal"
    if one[4] < other[3] or other[4] < one[3]:
        return None
    inside = [a[3] <= b[3] and b[4] <= a[4] for a, b in permutations((one, other))]
    return "during" if any(inside) else "overlap"


def solve(context: list[str], question: str) -> tuple[str, list[str], list[int], str]:
    """Class, answers, indexes of the event and the matching facts, and triple_element."""
    facts = [read_fact(fact) for fact in context]
    about, asks, rest = QUESTION.fullmatch(question).groups()  # type: ignore[union-attr]
    event = split_event(about)
    (place,) = [index for index, fact in enumerate(facts) if fact[:3] == event]
    if asks == "who":
        fits = [index for index, fact in enumerate(facts) if fact[1:3] == event[1:]]
        assert rest.endswith(event[2])
        subtype, side = "S2_R1_O1", 0
    else:
        ((relation, person),) = [
            (relation, match[1])
            for relation, (*_, asked) in FRAMES.items()
            if asked and (match := re.fullmatch(asked, rest))
        ]
        fits = [index for index, fact in enumerate(facts) if fact[:2] == (person, relation)]
        subtype = f"S{1 + (person != event[0])}_R{1 + (relation != event[1])}_O2"
        side = 2
    matching = {
        index: way
        for index in fits
        if index != place and (way := relate(facts[index], facts[place]))
    }
    ways = set(matching.values())
    kind = ways.pop() if len(ways) == 1 else "mix" if ways else "none"
    return kind, [facts[index][side] for index in matching], [place, *matching], subtype


def questions(seed: int, size: int, options: dict[str, Any]) -> list[dict[str, Any]]:
    loaded = simulate(options, Wanted(seed, size, size))
    return [row for table in loaded.splits.values() for row in table.iter_rows(named=True)]


@st.composite
def spans(draw: st.DrawFn, least: int, most: int, apart: int = 0) -> list[int]:
    low = draw(st.integers(least, most - apart))
    return [low, draw(st.integers(low + apart, most))]


WEIGHTS = st.sampled_from([0.0, 0.3, 1.0])
OPTIONS = st.fixed_dictionaries(
    {
        "facts": spans(5, 24),
        "years": spans(1000, 3000, apart=20),
        "granularities": st.fixed_dictionaries(
            {"year": WEIGHTS, "month": WEIGHTS, "day": WEIGHTS}
        ).filter(lambda weights: sum(weights.values()) > 0),
        "points": st.sampled_from([0.0, 0.5, 1.0]),
        "unseen_test_names": st.booleans(),
    }
)
SEEDS = st.integers(0, 2**32 - 1)


def check(row: dict[str, Any]) -> None:
    found = solve(row["context"], row["question"])
    assert found == (row["question_class"], row["answers"], row["gold_facts"], row["subtype"]), row
    others = [
        fact for index, fact in enumerate(row["context"]) if index not in row["gold_facts"][1:]
    ]
    for answer, index in zip(row["answers"], row["gold_facts"][1:], strict=True):
        assert answer in row["context"][index]
        assert not any(answer in fact for fact in others), row
        assert answer not in row["question"]


@settings(max_examples=25, deadline=None)
@given(SEEDS, st.one_of(st.just({}), OPTIONS))
def test_class_answers_and_facts_follow_from_the_text_and_distractors_are_apart_in_time(
    seed: int, options: dict[str, Any]
) -> None:
    for row in questions(seed, 24, options):
        check(row)
        gold = [row["context"][index] for index in sorted(row["gold_facts"])]
        kind, answers, *_ = solve(gold, row["question"])
        assert (kind, answers) == (row["question_class"], row["answers"])
        facts = [read_fact(fact) for fact in row["context"]]
        for index, fact in enumerate(facts):
            if index not in row["gold_facts"]:
                assert relate(fact, facts[row["gold_facts"][0]]) is None


def test_mix_has_two_answers_at_least_and_all_patterns_and_granularities_occur() -> None:
    rows = questions(0, 400, {})
    assert len({(row["question"], *row["context"]) for row in rows}) == len(rows)
    assert min(len(row["answers"]) for row in rows if row["question_class"] == "mix") == 2
    for kind in CLASSES:
        patterns = {row["subtype"] for row in rows if row["question_class"] == kind}
        assert patterns == {"S1_R1_O2", "S1_R2_O2", "S2_R1_O1", "S2_R1_O2", "S2_R2_O2"}
    facts = " ".join(fact for row in rows for fact in row["context"])
    dates = (r"[A-Z]\w+ \d+, \d{4}", r"[A-Z]\w+, \d{4}", r"\d{4}")
    for start in dates:
        assert re.search(rf" in {start}\.", facts)
        for end in dates:
            assert re.search(rf" from {start} to {end}\.", facts)


def test_tables_have_the_same_number_of_each_class_and_fit_the_schema() -> None:
    loaded = simulate({}, Wanted(0, 50, 8))
    for split, share in (("train", 13), ("test", 2)):
        table = records.check(loaded.splits[split], records.QUESTIONS, split)
        assert Counter(table["question_class"]) == dict.fromkeys(CLASSES, share)
        assert table["context"].list.len().is_between(8, 14).all()
    assert loaded.splits["test"]["id"][0] == "cotemp_sim/test/equal:0"


def words(names: Names) -> set[str]:
    return {*names.given, *names.family, *names.towns}


def test_no_name_contains_another() -> None:
    assert words(TRAIN).isdisjoint(words(TEST))
    for names in (TRAIN, TEST):
        institutions = [
            pattern.format(town)
            for patterns in PATTERNS.values()
            for pattern in patterns
            for town in names.towns
        ]
        assert not any(one in other for one, other in permutations(institutions, 2))
        assert not any(one in other for one, other in permutations(words(names), 2))


def test_names_of_the_test_split_are_unseen() -> None:
    splits = simulate({}, Wanted(0, 200, 200)).splits
    for split, names in (("train", TEST), ("test", TRAIN)):
        lines = [line for context in splits[split]["context"].to_list() for line in context]
        assert set(re.findall(r"\w+", " ".join(lines))).isdisjoint(words(names))


def test_facts_and_questions_are_worded_as_upstream(shared: Path) -> None:
    text = "".join(
        (shared / f"datasets/cotemp/{name}.json").read_text(encoding="utf-8")
        for name in ("equal", "overlap", "mix", "during.partial")
    )
    for fact, event, _ in FRAMES.values():
        assert fact in text
        assert event in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fact": [8, 14]}, "reader cotemp_sim: fact: unknown key; did you mean facts"),
        ({"facts": [14, 8]}, r"must be \[minimum, maximum\]"),
        ({"facts": [2, 8]}, "greater than or equal to 5"),
        ({"years": [1990, 2000]}, "at least 20 apart"),
        ({"granularities": {"year": 0.0, "month": 0.0, "day": 0.0}}, "at least one weight"),
    ],
)
def test_unsuitable_options_are_explained(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TracekdError, match=message):
        simulate(options, Wanted(0, 4, 4))
