from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.errors import TracekdError
from tracekd.traces import regimes
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import (
    ANSWER_IN_ALL_OTHERS,
    FEWER_OTHER_FACTS,
    REGIMES,
    Donors,
    Gold,
    RegimeContext,
    Shown,
    filler_for,
    regime,
    show,
)

GRAMMAR = Grammar("The category of the question is: {class}.")
STORY = ("Mary took the apple.", "John slept.", "Mary went home.", "John slept.", "Ann sang.")
GOLD = Gold("q/1", "two-supporting-facts", STORY, (0, 2))
OTHER = Gold("q/2", "counting", ("Bob left.", "Bob came."), (1,))
SAME = Gold("q/3", "two-supporting-facts", STORY, (0, 2))
CLASSES = ("counting", "lists-sets", "two-supporting-facts")

STEPS = Trace("counting", ("Mary went home.",))
TAUGHT = {
    "trace": {"q/1": Trace(text="Mary ..."), "q/2": Trace(text="Bob ...")},
    "summary": {"q/1": Trace(text="Mary.")},
    "explanation": {"q/1": Trace(text="Because Mary.")},
    "steps": {"q/1": STEPS},
}


def context(
    seed: int = 0,
    corruption: float = 0.5,
    questions: tuple[Gold, ...] = (GOLD, OTHER),
    classes: tuple[str, ...] = CLASSES,
) -> RegimeContext:
    return RegimeContext(seed, corruption, classes, GRAMMAR, Donors(questions, seed), taught=TAUGHT)


def test_each_regime_that_shows_gold_steps_shows_exactly_those() -> None:
    facts = ("Mary took the apple.", "Mary went home.")
    name = "two-supporting-facts"
    expected = {
        "none": Shown(Trace(), None, None, None),
        "class_only": Shown(Trace(class_name=name), True, None, None),
        "facts_only": Shown(Trace(facts=facts), None, True, None),
        "correct": Shown(Trace(name, facts), True, True, None),
    }
    assert {mode: show(mode, GOLD, context()) for mode in expected} == expected


@given(st.integers(0, 2**32 - 1))
def test_corrupted_steps_differ_from_gold_and_come_from_the_question(seed: int) -> None:
    shown = show("incorrect", GOLD, context(seed))
    assert (shown.class_right, shown.facts_right, shown.note) == (False, False, None)
    assert shown.trace.class_name in {"counting", "lists-sets"}
    assert shown.trace.facts == ("John slept.", "Ann sang.")
    wrong_class = show("wrong_class", GOLD, context(seed))
    assert (wrong_class.class_right, wrong_class.facts_right) == (False, True)
    wrong_facts = show("wrong_facts", GOLD, context(seed))
    assert (wrong_facts.class_right, wrong_facts.facts_right) == (True, False)


def test_corruption_depends_on_the_seed_and_not_on_other_questions() -> None:
    once = show("incorrect", GOLD, context(7))
    assert once == show("incorrect", GOLD, context(7, questions=(OTHER, SAME, GOLD)))
    drawn = {show("incorrect", GOLD, context(seed)).trace.class_name for seed in range(20)}
    assert drawn == {"counting", "lists-sets"}


def test_a_context_of_gold_facts_alone_has_no_wrong_ones_and_a_note() -> None:
    bare = Gold("q/4", "counting", ("Bob left.", "Bob  left."), (0,))
    shown = show("wrong_facts", bare, context())
    assert shown == Shown(Trace("counting", ()), True, False, "no other fact in the context")


LEFT = ("Bob left.", "Bob is in the hall.", "Ann is in the HALL!", "Ann sang.", "Ann wept.")


@pytest.mark.parametrize(
    ("wrong_facts", "gold", "answers", "possible", "note"),
    [
        # As many as gold, and none names an answer, whatever its case and punctuation.
        ("without_answer", (1,), ("hall",), {"Bob left.", "Ann sang.", "Ann wept."}, None),
        ("without_answer", (1,), ("hall", "Bob"), {"Ann sang.", "Ann wept."}, None),
        ("any", (1,), ("hall",), {*LEFT} - {LEFT[1]}, None),
        ("one", (1, 2), ("hall",), {"Bob left.", "Ann sang.", "Ann wept."}, None),
        # Too few of them, and none.
        ("without_answer", (0, 1), ("ann",), set(), ANSWER_IN_ALL_OTHERS),
        ("without_answer", (0, 3), ("hall",), {"Ann wept."}, FEWER_OTHER_FACTS),
    ],
)
def test_wrong_facts_name_no_answer_where_the_context_allows_it(
    wrong_facts: Any, gold: tuple[int, ...], answers: tuple[str, ...], possible: set[str], note: str
) -> None:
    story = Gold("q/6", "counting", LEFT, gold, answers)
    drawn = set()
    for seed in range(40):
        shown = show("wrong_facts", story, replace(context(seed), wrong_facts=wrong_facts))
        facts = shown.trace.facts or ()
        few = wrong_facts == "one" or note == FEWER_OTHER_FACTS
        assert len(facts) == (1 if few else len(gold))
        assert (shown.facts_right, shown.note) == (False, note)
        drawn |= set(facts)
    assert drawn == (possible or set(LEFT[2:]))


def test_a_dataset_of_one_class_has_no_wrong_one_and_a_note() -> None:
    shown = show("wrong_class", OTHER, context(classes=("counting",)))
    assert (shown.trace.class_name, shown.note) == (None, "no other class in the dataset")


def test_an_unanswerable_question_is_corrupted_by_one_fact() -> None:
    unanswerable = Gold("q/5", "counting", ("Bob left.", "Bob came."), ())
    shown = show("wrong_facts", unanswerable, context())
    assert shown.facts_right is False
    assert len(shown.trace.facts or ()) == 1


def test_a_shuffled_trace_is_another_questions_correct_one() -> None:
    shown = show("shuffled", GOLD, context(questions=(GOLD, OTHER, SAME)))
    assert shown == Shown(Trace("counting", ("Bob came.",)), False, False, None)


def test_a_teachers_trace_is_shown_as_it_was_kept() -> None:
    shown = {mode: show(mode, GOLD, context()) for mode in REGIMES if mode.startswith("teacher")}
    text = Trace(text="Mary ...")
    assert shown == {
        "teacher": Shown(text, None, None, None),
        "teacher_summary": Shown(Trace(text="Mary."), None, None, None),
        "teacher_explanation": Shown(Trace(text="Because Mary."), None, None, None),
        "teacher_shuffled": Shown(Trace(text="Bob ..."), None, None, None),
        "teacher_steps": Shown(STEPS, False, False, None),
        "teacher_filler": Shown(Trace(filler=1), None, None, None),
    }
    free = {mode for mode in REGIMES if regime(mode).free_text}
    assert free == {"teacher", "teacher_summary", "teacher_explanation", "teacher_shuffled"}


def test_another_questions_trace_is_of_the_same_class_if_one_is_kept() -> None:
    alike = [Gold(f"q/{n}", "counting", STORY, (0,)) for n in (4, 5)]
    others = [Gold(f"q/{n}", "lists-sets", STORY, (0,)) for n in range(6, 16)]
    kept = {gold.id: Trace(text=gold.id) for gold in [*alike, *others]}
    questions = (*alike, *others, Gold("q/20", "counting", STORY, (0,)))
    given_all = replace(context(questions=questions), taught={"trace": kept})
    assert show("teacher_shuffled", alike[0], given_all).trace == kept["q/5"]
    few = {key: trace for key, trace in kept.items() if key not in ("q/4", "q/5")}
    given_few = replace(given_all, taught={"trace": few})
    assert show("teacher_shuffled", alike[0], given_few).trace in few.values()
    nothing = replace(given_all, taught={})
    for mode in ("teacher", "teacher_shuffled"):
        shown = show(mode, alike[0], nothing)
        assert (shown.trace, shown.note) == (Trace(), regimes.NO_TEACHER_TRACE)


def test_all_fillers_are_as_long_as_the_median_trace_that_they_stand_for() -> None:
    golds = [Gold(f"q/{n}", "counting", ("a" * n,), (0,)) for n in (40, 1, 7, 30, 2)]
    given_all = replace(
        context(), taught={"trace": {gold.id: Trace(text=gold.id) for gold in golds}}
    )
    correct, teacher = (filler_for(f"{name}filler", golds, given_all) for name in ("", "teacher_"))
    assert correct == given_all.grammar.render_trace(Trace("counting", ("a" * 7,)))
    assert teacher == "<think>\nq/7\n</think>\n"  # of q/1, q/2, q/7, q/30, q/40
    assert filler_for("correct", golds, given_all) is None


def test_a_lone_question_has_no_donor() -> None:
    shown = show("shuffled", GOLD, context(questions=(GOLD, SAME)))
    assert shown == Shown(Trace(), None, None, "no other question with another trace")


def test_another_question_changes_only_the_donor_of_its_neighbour() -> None:
    golds = [Gold(f"q/{n}", "counting", (f"fact {n}",), (0,)) for n in range(50)]
    before, after = Donors(golds[:-1], 0), Donors(golds, 0)

    def donor(donors: Donors, gold: Gold) -> Gold | None:
        return donors.donor(gold, lambda other: other is not gold)

    changed = [one.id for one in golds[:-1] if donor(before, one) != donor(after, one)]
    assert len(changed) == 1


def test_doses_of_corruption_are_nested() -> None:
    golds = [Gold(f"q/{n}", "counting", STORY, (n % 3,)) for n in range(400)]
    wrong = {
        dose: {
            gold.id
            for gold in golds
            if show("mixed", gold, context(corruption=dose)).facts_right is False
        }
        for dose in (0.0, 0.2, 0.5, 1.0)
    }
    assert wrong[0.0] == set()
    assert wrong[0.2] < wrong[0.5] < wrong[1.0]
    assert len(wrong[1.0]) == 400
    assert 50 < len(wrong[0.2]) < 110


def test_an_unknown_regime_is_reported_with_the_nearest_name() -> None:
    with pytest.raises(TracekdError, match=r"trace_mode: .*'corect'; did you mean correct"):
        regime("corect")


@pytest.mark.parametrize("mode", REGIMES)
def test_a_regime_shows_the_steps_that_its_entry_lists(mode: str) -> None:
    trace = show(mode, GOLD, context()).trace
    steps = {"class": trace.class_name, "facts": trace.facts}
    assert {step for step, shown in steps.items() if shown is not None} == REGIMES[mode].steps


def test_the_regime_in_the_docs_works_as_described(monkeypatch: pytest.MonkeyPatch) -> None:
    guide = Path(__file__).resolve().parents[2] / "docs/extending.md"
    code = guide.read_text(encoding="utf-8").split("```python\n")[1].split("```")[0]
    monkeypatch.setattr(regimes, "REGIMES", dict(REGIMES))
    exec(code, dict(vars(regimes)))  # noqa: S102
    facts = ("Mary went home.", "Mary took the apple.")
    expected = Shown(Trace("two-supporting-facts", facts), True, True, None)
    assert show("reversed_facts", GOLD, context()) == expected
