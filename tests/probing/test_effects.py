"""What replacing the trace does to the answer, every figure by hand."""

import polars as pl
import pytest

from tracekd.probing.effects import (
    early_answering,
    effect,
    effects_of_traces,
    follows_wrong_facts,
    own_repeats_prediction,
    reasons,
)
from tracekd.probing.plans import CUTS
from tracekd.probing.verdicts import VERDICTS
from tracekd.statistics.values import Undefined, settle

#: Wilson's interval.
TWO_OF_THREE = pytest.approx((0.20766, 0.93851), abs=1e-5)


def interval(found, name):
    return found[f"{name}_low"], found[f"{name}_high"]


def verdict(key, probe, answer="home", **changes):
    row = {"id": key, "question_class": "where", "answer_in_facts": "stated", "probe": probe}
    row |= {"applied": True, "trace_tokens": 9}
    return row | {"answer": answer, "correct": answer == "home", "gold_logprob": -1.0} | changes


def not_run(key, probe, note):
    return {"id": key, "question_class": "where", "probe": probe, "applied": False, "note": note}


def table(*rows):
    return pl.DataFrame(list(rows), schema=VERDICTS, orient="row")


def test_an_effect_is_counted_on_questions_asked_with_both_traces():
    rows = [
        *(verdict("a", "gold"), verdict("a", "incorrect", "garden", gold_logprob=-4.0)),
        *(verdict("b", "gold", gold_logprob=-2.0), verdict("b", "incorrect", gold_logprob=-2.5)),
        *(verdict("c", "gold", "garden"), verdict("c", "incorrect", "office")),
        *(verdict("d", "gold"), not_run("d", "incorrect", "too long")),
    ]
    found = effect(table(*rows), "gold_to_incorrect")
    assert found["n"] == 3
    changes = ("answer_changes", "accuracy_change", "gold_logprob_change")
    assert [found[name] for name in changes] == pytest.approx([2 / 3, -1 / 3, -3.5 / 3])
    assert interval(found, "answer_changes") == TWO_OF_THREE
    # None of 3 got better.
    assert interval(found, "accuracy_change") == pytest.approx((-1, 0.70760), abs=1e-5)


def test_an_effect_without_questions_is_undefined_with_its_reason():
    found = effect(table(verdict("a", "gold"), not_run("a", "filler", "x")), "gold_to_filler")
    settled, why = settle(found)
    assert settled["n"] == 0
    assert {value for name, value in settled.items() if name != "n"} == {None}
    assert set(why.values()) == {"no question was run with both traces"}


def test_following_is_counted_where_it_shows_beside_what_the_gold_trace_gives():
    shown = [("a", "incorrect", True), ("a", "gold", False), ("b", "incorrect", False)]
    shown += [("b", "gold", True), ("c", "incorrect", None)]
    rows = [verdict(key, probe, from_wrong=from_wrong) for key, probe, from_wrong in shown]
    found = follows_wrong_facts(table(*rows))
    assert (found["n"], found["share"], found["without_them"]) == (2, 0.5, 0.5)
    # d was not run with the wrong facts.
    rows += [not_run("d", "incorrect", "too long"), verdict("d", "gold", from_wrong=True)]
    assert follows_wrong_facts(table(*rows))["without_them"] == 0.5
    nothing = follows_wrong_facts(table(verdict("c", "incorrect")))
    assert isinstance(nothing["share"], Undefined)


def test_repeated_predictions_are_counted_given_the_own_trace():
    own = [verdict(key, "own", repeats=key != "b") for key in "abc"]
    others = (not_run("d", "own", "no answer part"), verdict("a", "gold"))
    found = own_repeats_prediction(table(*own, *others))
    assert (found["n"], found["share"]) == (3, pytest.approx(2 / 3))
    assert interval(found, "share") == TWO_OF_THREE
    nothing, why = settle(own_repeats_prediction(table(verdict("a", "gold"))))
    assert (nothing["n"], nothing["share"]) == (0, None)
    assert why["share"] == "no question was run with the student's own trace"


def test_the_area_weighs_each_cut_by_what_is_shown_until_the_next():
    rows = []
    # a reaches the answer of the whole trace at half of it, b at the start.
    for key, early in (("a", ("x", "x", "home", "home")), ("b", ("home",) * 4)):
        rows.append(verdict(key, "own"))
        rows += [verdict(key, f"own_cut_{p}", each) for p, each in zip(CUTS, early, strict=True)]
    rows.append(verdict("without trace", "own", trace_tokens=0))
    rows += [verdict("without trace", f"own_cut_{p}", trace_tokens=0) for p in CUTS]
    found = early_answering(table(*rows))
    assert found["n"] == 2
    assert [found[f"same_{p}"] for p in CUTS] == [0.5, 0.5, 1, 1]
    assert found["area"] == 0.25
    assert (found["area_low"], found["area_high"]) == (0, 0.5)


def test_probes_that_were_not_run_are_counted_with_their_reasons():
    absent = (("b", "too long"), ("c", "too long"), ("d", "no answer part"))
    verdicts = table(verdict("a", "own"), *(not_run(key, "own", why) for key, why in absent))
    assert reasons(verdicts) == {"by_probe.own.not_applicable": "2: too long; 1: no answer part"}
    own = effects_of_traces(verdicts)["by_probe"]["own"]
    assert (own["n"], own["not_applicable"], own["accuracy"]) == (1, 3, 1)


def test_effects_by_class_do_not_depend_on_the_order_of_the_rows():
    rows = []
    for number in range(12):
        of_class = {"question_class": "count" if number < 4 else "where"}
        of_class["answer_in_facts"] = "stated" if number < 6 else "not_stated"
        rows.append(verdict(f"{number}", "gold", **of_class))
        answer = "home" if number % 3 else "garden"
        rows.append(verdict(f"{number}", "incorrect", answer, **of_class))
    found, _ = settle(effects_of_traces(table(*rows)))
    assert found == settle(effects_of_traces(table(*rows[::-1])))[0]
    by_class = found["by_class"]
    assert {name: group["n"] for name, group in by_class.items()} == {"count": 4, "where": 8}
    changes = [by_class[k]["effects"]["gold_to_incorrect"]["answer_changes"] for k in by_class]
    assert changes == [0.5, 0.25]
    by_answer = {name: group["n"] for name, group in found["by_answer_in_facts"].items()}
    assert by_answer == {"not_stated": 6, "stated": 6}
