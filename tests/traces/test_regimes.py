import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.errors import TracekdError
from tracekd.traces.grammar import Trace
from tracekd.traces.regimes import REGIMES, Gold, Ring, Setting, Shown, show

SENTENCE = "The category of the question is: {class}."
STORY = ("Mary took the apple.", "John slept.", "Mary went home.", "John slept.", "Ann sang.")
GOLD = Gold("q/1", "two-supporting-facts", STORY, (0, 2))
OTHER = Gold("q/2", "counting", ("Bob left.", "Bob came."), (1,))
SAME = Gold("q/3", "two-supporting-facts", STORY, (0, 2))
CLASSES = ("counting", "lists-sets", "two-supporting-facts")


def setting(
    seed: int = 0, corruption: float = 0.5, pool: tuple[Gold, ...] = (GOLD, OTHER)
) -> Setting:
    return Setting(seed, corruption, CLASSES, SENTENCE, Ring(pool, seed))


def test_each_regime_that_shows_gold_steps_shows_exactly_those() -> None:
    facts = ("Mary took the apple.", "Mary went home.")
    name = "two-supporting-facts"
    expected = {
        "none": Shown(Trace(), None, None, None),
        "class_only": Shown(Trace(class_name=name), True, None, None),
        "facts_only": Shown(Trace(facts=facts), None, True, None),
        "correct": Shown(Trace(name, facts), True, True, None),
    }
    assert {mode: show(mode, GOLD, setting()) for mode in expected} == expected


@given(st.integers(0, 2**32 - 1))
def test_corrupted_steps_differ_from_gold_and_come_from_the_question(seed: int) -> None:
    shown = show("incorrect", GOLD, setting(seed))
    assert (shown.class_right, shown.facts_right, shown.note) == (False, False, None)
    assert shown.trace.class_name in {"counting", "lists-sets"}
    assert shown.trace.facts == ("John slept.", "Ann sang.")
    wrong_class = show("wrong_class", GOLD, setting(seed))
    assert (wrong_class.class_right, wrong_class.facts_right) == (False, True)
    wrong_facts = show("wrong_facts", GOLD, setting(seed))
    assert (wrong_facts.class_right, wrong_facts.facts_right) == (True, False)


def test_corruption_is_the_same_in_every_run_and_in_any_company() -> None:
    once = show("incorrect", GOLD, setting(7))
    assert once == show("incorrect", GOLD, setting(7, pool=(OTHER, SAME, GOLD)))
    drawn = {show("incorrect", GOLD, setting(seed)).trace.class_name for seed in range(20)}
    assert drawn == {"counting", "lists-sets"}


def test_a_context_of_gold_facts_alone_says_that_it_allows_no_wrong_ones() -> None:
    bare = Gold("q/4", "counting", ("Bob left.", "Bob  left."), (0,))
    shown = show("wrong_facts", bare, setting())
    assert shown == Shown(Trace("counting", ()), True, False, "no other fact in the context")


def test_a_context_with_fewer_facts_that_are_not_gold_shows_them_all_and_says_so() -> None:
    short = Gold("q/5", "counting", ("Bob left.", "Bob came.", "Ann sang."), (0, 1))
    shown = show("wrong_facts", short, setting())
    note = "fewer other facts in the context than gold ones"
    assert shown == Shown(Trace("counting", ("Ann sang.",)), True, False, note)


def test_a_data_set_of_one_class_says_that_it_allows_no_wrong_one() -> None:
    only = Setting(0, 0.5, ("counting",), SENTENCE, Ring([OTHER], 0))
    shown = show("wrong_class", OTHER, only)
    assert shown.trace.class_name is None
    assert shown.note == "no other class in the data set"


def test_an_unanswerable_question_is_corrupted_by_one_fact() -> None:
    unanswerable = Gold("q/5", "counting", ("Bob left.", "Bob came."), ())
    shown = show("wrong_facts", unanswerable, setting())
    assert shown.facts_right is False
    assert len(shown.trace.facts or ()) == 1


def test_a_shuffled_trace_is_another_questions_correct_one() -> None:
    shown = show("shuffled", GOLD, setting(pool=(GOLD, OTHER, SAME)))
    assert shown == Shown(Trace("counting", ("Bob came.",)), False, False, None)


def test_a_lone_question_has_no_donor() -> None:
    shown = show("shuffled", GOLD, setting(pool=(GOLD, SAME)))
    assert shown == Shown(Trace(), None, None, "no other question with another trace")


def test_a_new_question_changes_the_donor_of_its_neighbour_alone() -> None:
    pool = [Gold(f"q/{n}", "counting", (f"fact {n}",), (0,)) for n in range(50)]
    before, after = Ring(pool[:-1], 0), Ring(pool, 0)
    changed = [gold.id for gold in pool[:-1] if before.donor(gold) != after.donor(gold)]
    assert len(changed) == 1


def test_filler_is_as_long_as_the_correct_trace() -> None:
    # "The category of the question is: two-supporting-facts." has 7 words, the header 11,
    # the two facts 5 and 4 with their bullets.
    assert show("filler", GOLD, setting()).trace == Trace(filler=7 + 11 + 5 + 4)


def test_doses_of_corruption_are_nested() -> None:
    pool = [Gold(f"q/{n}", "counting", STORY, (n % 3,)) for n in range(400)]
    wrong = {
        dose: {
            gold.id
            for gold in pool
            if show("mixed", gold, setting(corruption=dose)).facts_right is False
        }
        for dose in (0.0, 0.2, 0.5, 1.0)
    }
    assert wrong[0.0] == set()
    assert wrong[0.2] < wrong[0.5] < wrong[1.0]
    assert len(wrong[1.0]) == 400
    assert 50 < len(wrong[0.2]) < 110


def test_an_unknown_regime_is_named_with_its_nearest() -> None:
    with pytest.raises(TracekdError, match="'corect'; did you mean correct"):
        show("corect", GOLD, setting())


@pytest.mark.parametrize("mode", sorted(REGIMES))
def test_a_regime_shows_the_steps_that_it_says_it_teaches(mode: str) -> None:
    shown = show(mode, GOLD, setting())
    steps = {
        step
        for step, value in (("class", shown.trace.class_name), ("facts", shown.trace.facts))
        if value is not None
    }
    assert steps == REGIMES[mode].steps


@pytest.mark.parametrize(
    "mode", sorted(mode for mode in REGIMES if not REGIMES[mode].reads_context)
)
def test_a_regime_that_says_so_makes_nothing_of_facts_that_are_not_gold(mode: str) -> None:
    alone = Gold(GOLD.id, GOLD.class_name, GOLD.fact_texts, (0, 1))
    assert show(mode, alone, setting()) == show(mode, GOLD, setting())
