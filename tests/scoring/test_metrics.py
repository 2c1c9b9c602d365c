"""metrics.json and details.json from a small table, every figure by hand."""

import pytest
from tables import BABI, completion, prediction, predictions, question, questions

from tracekd.config import module_names
from tracekd.scoring.answers import metric
from tracekd.scoring.headline import headline
from tracekd.scoring.metrics import report
from tracekd.scoring.table import score
from tracekd.scoring.traces import Step

BOTH: frozenset[Step] = frozenset({"class", "facts"})
RIGHT, WRONG = ["Mary went home."], ["Mary slept."]


@pytest.fixture(scope="module")
def scores():
    texts = {
        "a": completion("where", RIGHT, "home"),
        "b": completion("where", RIGHT, "bed"),
        "c": completion("where", WRONG, "home"),
        "d": completion("who", RIGHT + WRONG, "bed"),
    }
    asked = questions(
        *(question(key, question_class="where" if key != "d" else "what") for key in texts)
    )
    cut = {"d": {"finish_reason": "length", "completion_tokens": 40}}
    rows = [prediction(key, text, **cut.get(key, {})) for key, text in texts.items()]
    return score(asked, predictions(*rows), BABI, BOTH)


@pytest.fixture(scope="module")
def measured(scores):
    return report(scores, "exact_match", BOTH)[0]


def test_figures_overall(measured):
    assert measured["n"] == 4
    assert measured["answer"] == {"accuracy": 0.5, "f1": 0.5, "precision": 0.5, "recall": 0.5}
    assert measured["class"] == {"accuracy": 0.75}
    assert measured["facts"] == {
        "exact": 0.5,
        "precision": 0.625,
        "recall": 0.75,
        "f1": pytest.approx((1 + 1 + 0 + 2 / 3) / 4, abs=1e-6),
        "lenient": 0,
        "unmatched": 0,
    }
    assert measured["trace"] == {"accuracy": 0.5}
    assert (measured["format"]["strict"], measured["format"]["truncated"]) == (1, 0.25)
    assert measured["cost"]["completion_tokens"] == 25


def test_an_undefined_number_is_null_with_its_reason(scores):
    measured, undefined = report(scores, "exact_match", BOTH)
    assert measured["by_class"]["where"]["link"]["class"]["p_answer_if_wrong"] is None
    assert undefined["by_class.where.link.class.p_answer_if_wrong"] == "no class step is wrong"
    assert undefined["by_class.what.link.trace.p_answer_if_right"] == "no trace step is right"


def test_the_2x2_of_trace_and_answer(measured):
    link = measured["link"]["trace"]
    counts = [link[name] for name in ("right_right", "right_wrong", "wrong_right", "wrong_wrong")]
    assert counts == [1, 1, 1, 1]
    assert (link["p_answer_if_right"], link["p_answer_if_wrong"]) == (0.5, 0.5)
    link = measured["link"]["class"]
    counts = [link[name] for name in ("right_right", "right_wrong", "wrong_right", "wrong_wrong")]
    assert counts == [2, 1, 0, 1]


def test_association_overall_and_within_classes(measured):
    link = measured["link"]["class"]
    assert (link["risk_difference"], link["phi"]) == (0.666667, 0.57735)
    assert (link["p_value"], link["exact_test"]) == (1.0, 1)
    assert link["within_classes"]["strata"] == 2
    assert link["within_classes"]["informative_strata"] == 0
    assert link["within_classes"]["p_value"] is None


def test_leakage_is_how_often_the_trace_states_the_answer(measured):
    leakage = measured["leakage"]
    assert leakage["traces_with_facts"] == 4
    assert leakage["states_answer"] == 0.75
    assert leakage["right_answers_stated"] == 0.5
    assert leakage["wrong_answers_stated"] == 1.0
    assert leakage["with_leakage"]["right_right"] == 1
    assert leakage["without_leakage"]["wrong_right"] == 1


def test_every_figure_has_its_interval_under_the_same_key(measured):
    found = measured["intervals"]
    assert set(found) == {"answer", "class", "facts", "trace", "link"}
    for section in ("answer", "class", "facts", "trace"):
        for name, bounds in found[section].items():
            assert bounds["low"] <= measured[section][name] <= bounds["high"]
    # Wilson's of 2 of 4.
    assert found["answer"]["accuracy"] == {"low": 0.150039, "high": 0.849961}


def test_classes_in_alphabetical_order(measured):
    by_class = measured["by_class"]
    assert {name: group["n"] for name, group in by_class.items()} == {"what": 1, "where": 3}
    assert list(by_class) == ["what", "where"]


@pytest.mark.parametrize(
    ("steps", "sections"),
    [
        (frozenset[Step](), set[str]()),
        (frozenset[Step]({"class"}), {"class", "trace", "link", "association"}),
        (frozenset[Step]({"facts"}), {"facts", "trace", "link", "association"}),
    ],
)
def test_steps_that_are_not_taught_have_no_section(steps, sections):
    predicted = predictions(prediction("a", completion("where", [], "home")))
    scores = score(questions(question("a")), predicted, BABI, steps)
    measured, _ = report(scores, "exact_match", steps)
    main = headline(measured, "exact_match")
    always = {"n", "answer", "format", "cost", "intervals", "by_class"}
    assert set(measured) == always | (sections - {"association"})
    assert set(main) == {"n", "answer", "output"} | (sections - {"link"})


def test_the_same_table_in_another_order_gives_the_same_metrics(scores, measured):
    assert report(scores.reverse(), "exact_match", BOTH)[0] == measured


def test_metrics_json_shows_the_main_numbers(measured):
    by_probe = {name: {"accuracy": 0.5} for name in ("own", "gold", "incorrect", "empty")}
    main = headline({**measured, "probes": {"by_probe": by_probe}}, "exact_match")
    assert main == {
        "n": 4,
        "answer": {"accuracy": 0.5, "low": 0.150039, "high": 0.849961, "f1": 0.5},
        "class": {"accuracy": 0.75},
        "facts": {"exact": 0.5, "f1": 0.666667},
        "trace": {"accuracy": 0.5, "states_answer": 0.75},
        "association": {
            "p_answer_if_right": 0.5,
            "p_answer_if_wrong": 0.5,
            "difference": 0.0,
            "low": measured["link"]["trace"]["risk_difference_low"],
            "high": measured["link"]["trace"]["risk_difference_high"],
            "within_classes": -0.5,
            "within_low": None,
            "within_high": None,
        },
        "output": {"failed": 0.0, "truncated": 0.25, "tokens": 25.0},
        "probes": {"gold": 0.5, "incorrect": 0.5, "empty": 0.5},
    }


def test_metrics_json_holds_at_most_25_numbers_whatever_the_metric():
    for name in module_names("scoring/answers"):
        # 22 numbers beside the figures of the metric, and the answer's own.
        assert 23 + len(metric(name).main) <= 25
