"""Checks simulated dated facts by reading their text, without code of the simulator."""

import calendar
import re
from collections import Counter
from datetime import date
from itertools import permutations

from hypothesis import given, settings
from hypothesis import strategies as st

from tracekd.config.reading import read_yaml
from tracekd.datasets import Wanted
from tracekd.datasets.readers.cotemp_sim import CLASSES, WORDING, simulate

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


def days(text):
    *month_and_day, year = text.replace(",", "").split()
    number = int(year)
    if not month_and_day:
        return date(number, 1, 1), date(number, 12, 31)
    month = MONTHS.index(month_and_day[0])
    if len(month_and_day) == 2:
        day = date(number, month, int(month_and_day[1]))
        return day, day
    return date(number, month, 1), date(number, month, calendar.monthrange(number, month)[1])


def read_fact(fact):
    statement, _, dates = re.split(
        r" (from|in) (?=\w+(?: \d+)?(?:, \d+)?(?: to |\.$))", fact, maxsplit=1
    )
    start, _, end = dates.removesuffix(".").partition(" to ")
    ((relation, frame),) = [(r, f) for r, (f, *_) in FRAMES.items() if f in statement]
    subject, thing = statement.split(frame)
    return subject, relation, thing, days(start)[0], days(end or start)[1]


def split_event(event):
    ((relation, frame),) = [(r, f) for r, (_, f, _) in FRAMES.items() if f in event]
    subject, thing = event.split(frame)
    return subject, relation, thing


def relate(one, other):
    if one[3:] == other[3:]:
        return "equal"
    if one[4] < other[3] or other[4] < one[3]:
        return None
    inside = [a[3] <= b[3] and b[4] <= a[4] for a, b in permutations((one, other))]
    return "during" if any(inside) else "overlap"


def solve(context, question):
    """Class, answers, indexes of the event and the matching facts, and triple_element."""
    facts = [read_fact(fact) for fact in context]
    about, asks, rest = QUESTION.fullmatch(question).groups()
    event = split_event(about)
    (place,) = [index for index, fact in enumerate(facts) if fact[:3] == event]
    if asks == "who":
        fits = [index for index, fact in enumerate(facts) if fact[1:3] == event[1:]]
        assert rest.endswith(event[2])
        subtype, side = "S2_R1_O1", 0
    else:
        asked = [
            (relation, re.fullmatch(form or "-", rest)) for relation, (*_, form) in FRAMES.items()
        ]
        ((relation, person),) = [(relation, match[1]) for relation, match in asked if match]
        fits = [index for index, fact in enumerate(facts) if fact[:2] == (person, relation)]
        subtype = f"S{1 + (person != event[0])}_R{1 + (relation != event[1])}_O2"
        side = 2
    ways_of = {index: relate(facts[index], facts[place]) for index in fits if index != place}
    matching = {index: way for index, way in ways_of.items() if way}
    ways = set(matching.values())
    kind = ways.pop() if len(ways) == 1 else "mix" if ways else "none"
    return kind, [facts[index][side] for index in matching], [place, *matching], subtype


def questions(seed, size, options):
    loaded = simulate(options, Wanted(seed, size, size))
    return [row for table in loaded.splits.values() for row in table.iter_rows(named=True)]


@st.composite
def spans(draw, least, most, apart=0):
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


@settings(max_examples=25)
@given(SEEDS, st.one_of(st.just({}), OPTIONS))
def test_class_answers_and_facts_follow_from_the_text_and_distractors_are_apart_in_time(
    seed, options
):
    for row in questions(seed, 24, options):
        found = solve(row["context"], row["question"])
        names = ("question_class", "answers", "gold_facts", "subtype")
        assert found == tuple(row[name] for name in names), row
        event, *matching = row["gold_facts"]
        others = [fact for n, fact in enumerate(row["context"]) if n not in matching]
        for answer, index in zip(row["answers"], matching, strict=True):
            assert answer in row["context"][index]
            assert not any(answer in text for text in (*others, row["question"])), row
        gold = [row["context"][index] for index in sorted(row["gold_facts"])]
        kind, answers, *_ = solve(gold, row["question"])
        assert (kind, answers) == (row["question_class"], row["answers"])
        facts = [read_fact(fact) for fact in row["context"]]
        for index, fact in enumerate(facts):
            if index not in row["gold_facts"]:
                assert relate(fact, facts[event]) is None


def test_mix_has_two_answers_at_least_and_all_patterns_and_granularities_occur():
    rows = questions(0, 400, {})
    assert len({(row["question"], *row["context"]) for row in rows}) == len(rows)
    assert min(len(row["answers"]) for row in rows if row["question_class"] == "mix") == 2
    assert Counter(row["question_class"] for row in rows) == dict.fromkeys(CLASSES, 200)
    for kind in CLASSES:
        patterns = {row["subtype"] for row in rows if row["question_class"] == kind}
        assert patterns == {"S1_R1_O2", "S1_R2_O2", "S2_R1_O1", "S2_R1_O2", "S2_R2_O2"}
    facts = " ".join(fact for row in rows for fact in row["context"])
    dates = (r"[A-Z]\w+ \d+, \d{4}", r"[A-Z]\w+, \d{4}", r"\d{4}")
    for start in dates:
        assert re.search(rf" in {start}\.", facts)
        for end in dates:
            assert re.search(rf" from {start} to {end}\.", facts)


def words(side):
    return {word for listed in read_yaml(WORDING)["names"][side].values() for word in listed}


def test_no_name_contains_another():
    assert words("train").isdisjoint(words("test"))
    patterns = [pattern for sort in read_yaml(WORDING)["institutions"].values() for pattern in sort]
    for side in ("train", "test"):
        towns = read_yaml(WORDING)["names"][side]["towns"]
        institutions = [pattern.format(town) for pattern in patterns for town in towns]
        assert not any(one in other for one, other in permutations(institutions, 2))
        assert not any(one in other for one, other in permutations(words(side), 2))


def test_names_of_the_test_split_are_unseen():
    splits = simulate({}, Wanted(0, 200, 200)).splits
    for split, other in (("train", "test"), ("test", "train")):
        lines = [line for context in splits[split]["context"].to_list() for line in context]
        assert set(re.findall(r"\w+", " ".join(lines))).isdisjoint(words(other))
