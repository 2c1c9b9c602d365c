"""metrics.json from a small table, every figure by hand."""

from typing import Any

import polars as pl
import pytest
from tables import completion, prediction, predictions, question, questions

from tracekd.config import DatasetSpec
from tracekd.scoring.metrics import apart, report
from tracekd.scoring.table import score

BOTH = frozenset({"class", "facts"})
RIGHT, WRONG = ["Mary went home."], ["Mary slept."]


@pytest.fixture
def scores(babi: DatasetSpec) -> pl.DataFrame:
    said = {
        "a": completion("where", RIGHT, "home"),
        "b": completion("where", RIGHT, "bed"),
        "c": completion("where", WRONG, "home"),
        "d": completion("who", RIGHT + WRONG, "bed"),
    }
    asked = questions(
        *(question(key, question_class="where" if key != "d" else "what") for key in said)
    )
    cut = {"d": {"finish_reason": "length", "completion_tokens": 40}}
    rows = [prediction(key, text, **cut.get(key, {})) for key, text in said.items()]
    return score(asked, predictions(*rows), babi, BOTH)


def test_figures_overall(scores: pl.DataFrame) -> None:
    metrics, notes = report(scores, "exact_match")
    assert metrics["n"] == 4
    assert metrics["answer"] == {"accuracy": 0.5, "f1": 0.5, "precision": 0.5, "recall": 0.5}
    assert metrics["class"] == {"accuracy": 0.75}
    assert metrics["facts"]["exact"] == 0.5
    assert metrics["facts"]["precision"] == 0.625
    assert metrics["facts"]["f1"] == pytest.approx((1 + 1 + 0 + 2 / 3) / 4, abs=1e-6)
    assert metrics["trace"] == {"accuracy": 0.5}
    assert metrics["format"]["strict"] == 1
    assert metrics["format"]["truncated"] == 0.25
    assert metrics["cost"]["completion_tokens"] == 25
    assert notes["by_class.what.link.trace.p_answer_if_right"] == "no trace step is right"
    assert notes["by_class.where.link.class.p_answer_if_wrong"] == "no class step is wrong"
    assert metrics["by_class"]["where"]["link"]["class"]["p_answer_if_wrong"] is None


def test_the_2x2_of_trace_and_answer(scores: pl.DataFrame) -> None:
    link = report(scores, "exact_match")[0]["link"]["trace"]
    counts = [link[name] for name in ("right_right", "right_wrong", "wrong_right", "wrong_wrong")]
    assert counts == [1, 1, 1, 1]
    assert (link["p_answer_if_right"], link["p_answer_if_wrong"]) == (0.5, 0.5)


def test_the_link_is_told_overall_and_within_classes(scores: pl.DataFrame) -> None:
    link = report(scores, "exact_match")[0]["link"]["class"]
    assert (link["risk_difference"], link["phi"]) == (0.666667, 0.57735)
    assert (link["p_value"], link["exact_test"]) == (1.0, 1)
    assert link["within_classes"]["strata"] == 2
    assert link["within_classes"]["informative_strata"] == 0
    assert link["within_classes"]["p_value"] is None


def test_leakage_is_how_often_the_trace_states_the_answer(scores: pl.DataFrame) -> None:
    leakage = report(scores, "exact_match")[0]["leakage"]
    assert leakage["traces_with_facts"] == 4
    assert leakage["states_answer"] == 0.75
    assert leakage["right_answers_stated"] == 0.5
    assert leakage["wrong_answers_stated"] == 1.0
    assert leakage["with_leakage"]["right_right"] == 1
    assert leakage["without_leakage"]["wrong_right"] == 1


def test_intervals_stand_in_the_places_of_their_figures(scores: pl.DataFrame) -> None:
    metrics = report(scores, "exact_match")[0]
    bounds = metrics["intervals"]["answer"]["accuracy"]
    assert bounds["low"] <= metrics["answer"]["accuracy"] <= bounds["high"]
    assert set(metrics["intervals"]) == {"answer", "class", "facts", "trace", "link"}


def test_classes_in_alphabetical_order(scores: pl.DataFrame) -> None:
    by_class = report(scores, "exact_match")[0]["by_class"]
    assert list(by_class) == ["what", "where"]
    assert by_class["where"]["n"] == 3
    assert by_class["what"]["link"]["trace"]["p_answer_if_right"] is None


def test_steps_that_are_not_taught_have_no_section(babi: DatasetSpec) -> None:
    said = predictions(prediction("a", completion("where", RIGHT, "home")))
    metrics, _ = report(score(questions(question("a")), said, babi, frozenset()), "exact_match")
    assert not {"class", "facts", "trace", "link"} & set(metrics)


def test_the_same_table_in_another_order_gives_the_same_metrics(scores: pl.DataFrame) -> None:
    first: dict[str, Any] = report(scores, "exact_match")[0]
    assert report(scores.reverse(), "exact_match")[0] == first


def test_what_is_told_by_class_stands_apart(scores: pl.DataFrame) -> None:
    measured, _ = report(scores, "exact_match")
    probes = {"n": 1, "by_class": {"what": {"n": 1}}}
    overall, classes = apart({**measured, "probes": probes})
    assert overall["probes"] == {"n": 1}
    assert "by_class" not in overall
    assert overall["answer"] == measured["answer"]
    assert classes["what"] == {**measured["by_class"]["what"], "probes": {"n": 1}}
    assert classes["where"] == measured["by_class"]["where"]
