"""metrics.json and details.json from a small table, every figure by hand."""

import pytest
from tables import BABI, completion, prediction, predictions, question, questions

from tracekd.scoring.headline import headline
from tracekd.scoring.metrics import report
from tracekd.scoring.table import score

BOTH = frozenset({"class", "facts"})
RIGHT, WRONG = ["Mary went home."], ["Mary slept."]


@pytest.fixture(scope="module")
def scores():
    rows = [
        prediction("a", completion("where", RIGHT, "home")),
        prediction("b", completion("where", RIGHT, "bed")),
        prediction("c", completion("where", WRONG, "home")),
        prediction("d", completion("who", RIGHT + WRONG, "bed"), completion_tokens=40),
    ]
    rows[3]["finish_reason"] = "length"
    asked = questions(*(question(key) for key in "abc"), question("d", question_class="what"))
    return score(asked, predictions(*rows), BABI, BOTH)


@pytest.fixture(scope="module")
def measured(scores):
    return report(scores, "exact_match", BOTH)[0]


def test_figures_overall(measured):
    assert measured["n"] == 4
    assert measured["answer"] == {"accuracy": 0.5, "f1": 0.5, "precision": 0.5, "recall": 0.5}
    assert measured["class"] == {"accuracy": 0.75}
    f1 = pytest.approx((1 + 1 + 0 + 2 / 3) / 4, abs=1e-6)
    overlap = {"precision": 0.625, "recall": 0.75, "f1": f1}
    assert measured["facts"] == {"exact": 0.5, **overlap, "lenient": 0, "unmatched": 0}
    assert measured["trace"] == {"accuracy": 0.5}
    assert (measured["format"]["strict"], measured["format"]["truncated"]) == (1, 0.25)
    assert measured["cost"]["completion_tokens"] == 25
    assert [(k, group["n"]) for k, group in measured["by_class"].items()] == [
        ("what", 1),
        ("where", 3),
    ]


def test_an_undefined_number_is_null_with_its_reason(scores):
    measured, undefined = report(scores, "exact_match", BOTH)
    assert measured["by_class"]["where"]["link"]["class"]["p_answer_if_wrong"] is None
    assert undefined["by_class.where.link.class.p_answer_if_wrong"] == "no class step is wrong"
    assert undefined["by_class.what.link.trace.p_answer_if_right"] == "no trace step is right"


@pytest.mark.parametrize(
    ("step", "counts", "shares"),
    [("trace", [1, 1, 1, 1], (0.5, 0.5)), ("class", [2, 1, 0, 1], (0.666667, 0))],
)
def test_the_2x2_of_trace_and_answer(measured, step, counts, shares):
    link = measured["link"][step]
    names = ("right_right", "right_wrong", "wrong_right", "wrong_wrong")
    assert [link[name] for name in names] == counts
    assert (link["p_answer_if_right"], link["p_answer_if_wrong"]) == shares


def test_association_overall_and_within_classes(measured):
    link = measured["link"]["class"]
    assert (link["risk_difference"], link["phi"]) == (0.666667, 0.57735)
    assert (link["p_value"], link["exact_test"]) == (1.0, 1)
    within = link["within_classes"]
    assert (within["strata"], within["informative_strata"], within["p_value"]) == (2, 0, None)


def test_leakage_is_how_often_the_trace_states_the_answer(measured):
    leakage = measured["leakage"]
    names = ("traces_with_facts", "states_answer", "right_answers_stated", "wrong_answers_stated")
    assert [leakage[name] for name in names] == [4, 0.75, 0.5, 1]
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


@pytest.mark.parametrize("steps", [set(), {"class"}, {"facts"}])
def test_steps_that_are_not_taught_have_no_section(steps):
    sections = steps | ({"trace", "link", "association"} if steps else set())
    predicted = predictions(prediction("a", completion("where", [], "home")))
    scores = score(questions(question("a")), predicted, BABI, steps)
    measured, _ = report(scores, "exact_match", steps)
    main = headline(measured, "exact_match")
    always = {"n", "answer", "format", "cost", "intervals", "by_class"}
    assert set(measured) == always | (sections - {"association"})
    assert set(main) == {"n", "answer", "output"} | (sections - {"link"})


def test_questions_that_training_gives_away_are_also_scored_apart() -> None:
    kinds = {"a": ["facts_taught"], "b": ["facts_in_contexts", "facts_taught"], "c": []}
    asked = [question(key, leaks=leaks) for key, leaks in kinds.items()]
    right = completion("where", ["Mary went home."], "home")
    wrong = completion("where", ["John left."], "away")
    texts = {"a": right, "b": right, "c": wrong}
    predicted = predictions(*(prediction(key, text) for key, text in texts.items()))
    measured, _ = report(score(questions(*asked), predicted, BABI, BOTH), "exact_match", BOTH)
    found = {
        name: (group["n"], group["answer"]["accuracy"], group["trace"]["accuracy"])
        for name, group in measured["by_leaked"].items()
    }
    assert found == {"leaked": (2, 1.0, 1.0), "not_leaked": (1, 0.0, 0.0)}


def test_the_same_table_in_another_order_gives_the_same_metrics(scores, measured):
    assert report(scores.reverse(), "exact_match", BOTH)[0] == measured


def test_metrics_json_shows_the_main_numbers(measured):
    by_probe = {name: {"accuracy": 0.5} for name in ("own", "gold", "incorrect", "empty")}
    main = headline({**measured, "probes": {"by_probe": by_probe}}, "exact_match")
    shares = {"p_answer_if_right": 0.5, "p_answer_if_wrong": 0.5, "difference": 0.0}
    ends = {end: measured["link"]["trace"][f"risk_difference_{end}"] for end in ("low", "high")}
    within = {"within_classes": -0.5, "within_low": None, "within_high": None}
    assert main == {
        "n": 4,
        "answer": {"accuracy": 0.5, "low": 0.150039, "high": 0.849961, "f1": 0.5},
        "class": {"accuracy": 0.75},
        "facts": {"exact": 0.5, "f1": 0.666667},
        "trace": {"accuracy": 0.5, "states_answer": 0.75},
        "association": shares | ends | within,
        "output": {"failed": 0.0, "truncated": 0.25, "tokens": 25.0},
        "probes": {"gold": 0.5, "incorrect": 0.5, "empty": 0.5},
    }
