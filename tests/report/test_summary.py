"""The table that ends a run, and the sentence that says what was found."""

from pathlib import Path

import pytest

from tracekd.config import Params, load_params
from tracekd.report.summary import finding, summary, title_of
from tracekd.traces.regimes import steps_shown

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"
FORMAT = {"lenient": 0.1, "failed": 0.0, "truncated": 0.025}
PLAIN = {"n": 4, "answer": {"accuracy": 0.5}, "format": FORMAT}


def linked(overall, within=(None, None), p_values=(0.01, 0.01)):
    link = {
        "p_value": p_values[0],
        "within_classes": {"p_value": p_values[1]},
        "p_answer_if_right": 0.39,
        "p_answer_if_wrong": 0.29,
        "risk_difference_low": overall[0],
        "risk_difference_high": overall[1],
    }
    bounds = {"low": within[0], "high": within[1]}
    pooled = {"link": {"trace": {"risk_difference_within_classes": bounds}}}
    return {**PLAIN, "link": {"trace": link}, "intervals": pooled}


MORE = "Answers are right more often given a right trace (39 %) than given a wrong one (29 %)"
LESS = "Answers are right less often given a right trace (39 %) than given a wrong one (29 %)"
UNCLEAR = (
    "No clear association between trace and answer: 39 % right given a right trace, 29 % given a "
    "wrong one"
)


@pytest.mark.parametrize(
    ("overall", "within", "sentence"),
    [
        ((0.01, 0.2), (None, None), MORE),
        ((0.01, 0.2), (0.01, 0.2), MORE),
        ((0.01, 0.2), (-0.1, 0.2), f"{MORE}; no clear association within classes"),
        ((-0.2, -0.01), (None, None), LESS),
        ((-0.01, 0.2), (-0.1, 0.2), UNCLEAR),
        (
            (0.0, 0.2),
            (0.1, 0.2),
            f"{UNCLEAR}; within classes, answers are right more often given a right trace",
        ),
    ],
)
def test_the_finding_goes_no_further_than_the_intervals(overall, within, sentence):
    assert finding(linked(overall, within)) == sentence


def test_an_interval_that_excludes_zero_is_no_finding_if_the_exact_test_disagrees():
    # Six right traces, all with a wrong answer, as published for incorrect traces: p = 0.087.
    few = linked((-0.42, -0.001), (-0.6, -0.1), (0.087, 0.2))
    assert finding(few) == f"{UNCLEAR}"
    undefined = linked((0.1, 0.2), (0.1, 0.2), (None, 0.01))
    assert finding(undefined).startswith(f"{UNCLEAR}; within classes, answers are right more often")


def test_the_finding_without_traces_or_without_right_ones_compares_nothing():
    assert finding(PLAIN) == "No steps are taught: 50 % of the answers are right"
    link = {"p_answer_if_right": None, "p_answer_if_wrong": 0.5}
    none_right = {**PLAIN, "link": {"trace": link}}
    assert finding(none_right) == "No trace is right: 50 % of the answers are right"


def test_the_main_figures_with_their_intervals():
    details = {
        **PLAIN,
        "class": {"accuracy": 1.0},
        "intervals": {"answer": {"accuracy": {"low": 0.15, "high": 0.85}}},
        "floors": {"empty answer": 0.0, "whole context": 0.25},
        "probes": {"n": 2, "by_probe": {"gold": {"accuracy": 0.95}}},
    }
    assert summary(details, "tiny", {"metrics": "metrics/metrics.json"}).splitlines() == [
        "tiny: 4 test questions",
        "----------------------",
        "No steps are taught: 50 % of the answers are right",
        "",
        "answers right                      50.0 %   (15.0 % to 85.0 %)",
        "  given a right trace                   -",
        "  given a wrong trace                   -",
        "class right                       100.0 %",
        "facts, F1                               -",
        "trace exact match                       -",
        "output not in the form taught      10.0 %",
        "output unreadable                   0.0 %",
        "output cut off                      2.5 %",
        "best answer without a model        25.0 %   (whole context)",
        "probes, 2 questions",
        "  right given the correct trace    95.0 %",
        "  right given an incorrect trace        -",
        "  answer changes between the two        -",
        "  answer follows wrong facts            -",
        "    given the correct trace             -",
        "  own trace repeats prediction          -",
        "",
        "metrics                          metrics/metrics.json",
    ]


def test_the_title_distinguishes_seeds_and_doses_of_corruption():
    def title(**changes):
        named = {"model": "tiny", "dataset": "stories", "trace_mode": "correct"}
        return title_of(load_params(PARAMS).model_copy(update={**named, **changes}))

    assert title(seed=3) == "tiny on stories, regime correct, seed 3"
    assert title(corruption=0.25) == title(corruption=0.75)
    mixed = "tiny on stories, regime mixed with corruption 0.25, seed 0"
    assert title(trace_mode="mixed", corruption=0.25, seed=0) == mixed
    baseline = experiment("none", 3).model_copy(update={"seed": 0})
    assert title_of(baseline).endswith(", untuned, regime correct, 3-shot, seed 0")


@pytest.mark.parametrize(
    ("method", "shots", "steps"),
    [("lora", 0, {"class", "facts"}), ("none", 3, {"class", "facts"}), ("none", 0, set())],
)
def test_only_steps_that_the_student_has_seen_are_scored(
    method: str, shots: int, steps: set[str]
) -> None:
    assert steps_shown(experiment(method, shots)) == steps


def experiment(method: str, shots: int) -> Params:
    made = load_params(PARAMS)
    train = made.train.model_copy(update={"method": method})
    prompt = made.prompt.model_copy(update={"shots": shots})
    return made.model_copy(update={"train": train, "prompt": prompt, "trace_mode": "correct"})


def test_more_unreadable_outputs_than_readable_ones_print_a_warning_within_80_columns():
    def text(failed):
        return summary({**PLAIN, "format": {**FORMAT, "failed": failed}}, "tiny", {})

    assert "WARNING" not in text(0.5)
    assert "WARNING: 75.0 % of the outputs could not be read." in text(0.75)
    assert max(map(len, text(0.75).splitlines())) <= 80
