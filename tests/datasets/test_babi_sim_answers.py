"""Checks simulated bAbI questions with a solver that shares no code with the simulator.

`solve` answers a question from the text alone; it returns None if the sentences do not settle it.
"""

import re
from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from tracekd.datasets import Wanted
from tracekd.datasets.readers.babi_sim import simulate

DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
STEPS = {
    **dict.fromkeys(("north of", "above"), (0, 1)),
    **dict.fromkeys(("south of", "below"), (0, -1)),
    **dict.fromkeys(("east of", "to the right of"), (1, 0)),
    **dict.fromkeys(("west of", "to the left of"), (-1, 0)),
}
SIDE = "(" + "|".join(STEPS) + ")"

MOVE = re.compile(r"(\w+)(?: and (\w+))? (?:walked|ran|headed|went) to the (\w+)\.")
TAKE = re.compile(r"(\w+) (?:took|grabbed|lifted) the (\w+)\.")
DROP = re.compile(r"(\w+) (?:put down|let go of|set aside) the (\w+)\.")
DATED = re.compile(r"(\w+) went to the (\w+) on (\w+)\.|On (\w+) (\w+) went to the (\w+)\.")
LIES = re.compile(rf"The ([\w ]+) lies directly {SIDE} the ([\w ]+)\.")
FITS = re.compile(r"The (\w+) fits inside the (\w+)\.")
LARGER = re.compile(r"The (\w+) is larger than the (\w+)\.")
WARY = re.compile(r"(\w+) are wary of (\w+)\.")
KIND = re.compile(r"(\w+) is an? (\w+)\.")
COLOR = re.compile(r"(\w+) is (\w+)\.")


def solve(context, question):
    for pattern, answer in SOLVERS:
        if match := re.fullmatch(pattern, question):
            return answer(context, *match.groups())
    raise AssertionError(f"no such question: {question}")


def all_groups(pattern, context):
    return [match.groups() for line in context if (match := pattern.fullmatch(line))]


def where(context):
    """Where people and things are."""
    people = {}
    things = {}
    holder = {}
    for line in context:
        if move := MOVE.fullmatch(line):
            people.update({name: move[3] for name in move.groups()[:2] if name})
        elif take := TAKE.fullmatch(line):
            assert take[2] not in holder
            holder[take[2]] = take[1]
        elif drop := DROP.fullmatch(line):
            # In the supporting facts alone the take may be left out: a drop implies it.
            holder.pop(drop[2], None)
            things[drop[2]] = people.get(drop[1])
        else:
            raise AssertionError(f"no such sentence: {line}")
    return {**people, **things, **{thing: people.get(name) for thing, name in holder.items()}}


def held_by(context, person):
    held = None
    for line in context:
        if (take := TAKE.fullmatch(line)) and take[1] == person:
            held = [*(held or []), take[2]]
        elif (drop := DROP.fullmatch(line)) and drop[1] == person:
            if not held or drop[2] not in held:
                return None
            held.remove(drop[2])
    return held


def count(things):
    return None if things is None else [["none", "one", "two", "three"][len(things)]]


def place_before(context, person, place):
    visits = {}
    for name, where, day, early_day, early_name, early_where in all_groups(DATED, context):
        if person in (name, early_name):
            visits[DAYS.index(day or early_day)] = where or early_where
    if place not in visits.values():
        return None
    then = max(day for day, where in visits.items() if where == place)
    earlier = [day for day in visits if day < then]
    return [visits[max(earlier)]] if earlier else None


def coordinates(context, origin):
    cells = {origin: (0, 0)}
    links = all_groups(LIES, context)
    for _, (item, side, anchor) in product(links, links):
        x, y = STEPS[side]
        if anchor in cells:
            cells.setdefault(item, (cells[anchor][0] + x, cells[anchor][1] + y))
        if item in cells:
            cells.setdefault(anchor, (cells[item][0] - x, cells[item][1] - y))
    assert len(set(cells.values())) == len(cells)
    return cells


def beside(context, anchor, side, sign=1):
    wanted = tuple(sign * step for step in STEPS[side])
    return [item for item, cell in coordinates(context, anchor).items() if cell == wanted]


def is_on_side(context, item, side, other):
    cells = coordinates(context, other)
    if item not in cells:
        return None
    ahead = sum(a * b for a, b in zip(cells[item], STEPS[side], strict=True))
    return ["yes" if ahead > 0 else "no"]


def smaller_pairs(context):
    pairs = set(all_groups(FITS, context)) | {
        (small, large) for large, small in all_groups(LARGER, context)
    }
    while True:
        longer = {(a, d) for (a, b), (c, d) in product(pairs, pairs) if b == c} - pairs
        if not longer:
            return pairs
        pairs |= longer


def fits_inside(context, one, other):
    pairs = smaller_pairs(context)
    assert not {(one, other), (other, one)} <= pairs
    return ["yes"] if (one, other) in pairs else ["no"] if (other, one) in pairs else None


def wary_of(context, pet):
    kinds = [kind for name, kind in all_groups(KIND, context) if name == pet]
    plurals = {plural for kind in kinds for plural in (kind, f"{kind}s", f"{kind}es")}
    feared = [other for name, other in all_groups(WARY, context) if name.lower() in plurals]
    return [re.sub("(?<=x)es$|s$", "", name) for name in feared] or None


def color_of(context, pet):
    kinds = all_groups(KIND, context)
    own = {kind for name, kind in kinds if name == pet}
    twins = {name for name, kind in kinds if kind in own and name != pet}
    return [color for name, color in all_groups(COLOR, context) if name in twins] or None


SOLVERS = [
    (r"Where is (?:the )?(\w+)\?", lambda lines, name: [where(lines).get(name)]),
    (r"How many things does (\w+) hold\?", lambda lines, name: count(held_by(lines, name))),
    (
        r"Which things does (\w+) hold\?",
        lambda lines, name: ["nothing"] if (held := held_by(lines, name)) == [] else held,
    ),
    (r"Where was (\w+) before the (\w+)\?", place_before),
    (
        rf"What lies directly {SIDE} the (\w+)\?",
        lambda lines, side, anchor: beside(lines, anchor, side),
    ),
    (
        rf"What does the (\w+) lie directly {SIDE}\?",
        lambda lines, item, side: beside(lines, item, side, -1),
    ),
    (rf"Is the ([\w ]+) {SIDE} the ([\w ]+)\?", is_on_side),
    (r"Does the (\w+) fit inside the (\w+)\?", fits_inside),
    (r"Is the (\w+) larger than the (\w+)\?", lambda lines, a, b: fits_inside(lines, b, a)),
    (r"What is (\w+) wary of\?", wary_of),
    (r"What color is (\w+)\?", color_of),
]


@st.composite
def spans(draw, least, most):
    low = draw(st.integers(least, most))
    return [low, draw(st.integers(low, most))]


OPTIONS = st.fixed_dictionaries(
    {"statements": spans(1, 12), "distractors": spans(0, 12), "hops": spans(2, 4)}
)


@settings(max_examples=30)
@given(st.integers(0, 2**32 - 1), st.one_of(st.just({}), OPTIONS))
def test_the_answer_follows_from_the_text_and_from_all_of_its_supporting_facts(seed, options):
    loaded = simulate(options, Wanted(seed, 44, 44))
    for row in (row for table in loaded.splits.values() for row in table.to_dicts()):
        context, question, answers = row["context"], row["question"], row["answers"]
        assert solve(context, question) == answers, row
        gold = [context[index] for index in sorted(row["gold_facts"])]
        assert len(set(row["gold_facts"])) == len(gold)
        assert solve(gold, question) == answers, row
        for left_out in range(len(gold)):
            fewer = gold[:left_out] + gold[left_out + 1 :]
            assert solve(fewer, question) != answers, row
