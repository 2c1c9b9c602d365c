"""The table that ends a run."""

from pathlib import Path

from tracekd.config import load_params
from tracekd.report.summary import summary, title_of

PARAMS = Path(__file__).resolve().parents[2] / "params.yaml"

FORMAT = {"lenient": 0.1, "failed": 0.0, "truncated": 0.025}


def test_the_main_figures_in_per_cent() -> None:
    metrics = {
        "n": 40,
        "answer": {"accuracy": 0.875},
        "class": {"accuracy": 1.0},
        "facts": {"f1": 0.5},
        "trace": {"accuracy": 0.25},
        "link": {"trace": {"p_answer_if_right": None, "p_answer_if_wrong": 0.5}},
        "format": FORMAT,
    }
    assert summary(metrics, "tiny", {"metrics": "metrics/metrics.json"}).splitlines() == [
        "tiny: 40 questions",
        "------------------",
        "answer accuracy                  87.5 %",
        "class accuracy                  100.0 %",
        "IR F1                            50.0 %",
        "whole trace right                25.0 %",
        "P(answer right | trace right)         -",
        "P(answer right | trace wrong)    50.0 %",
        "read leniently / not at all / truncated: 10.0 % / 0.0 % / 2.5 %",
        "",
        "metrics                        metrics/metrics.json",
    ]


def test_the_title_tells_an_experiment_from_those_of_other_seeds_and_corruptions() -> None:
    def told(**changes: str | int | float) -> str:
        named = {"model": "tiny", "dataset": "stories", "trace_mode": "correct"}
        return title_of(load_params(PARAMS).model_copy(update={**named, **changes}))

    assert told(seed=3) == "tiny on stories, trace mode correct, seed 3"
    assert told(corruption=0.25) == told(corruption=0.75)
    mixed = "tiny on stories, trace mode mixed with corruption 0.25, seed 0"
    assert told(trace_mode="mixed", corruption=0.25, seed=0) == mixed


def test_steps_that_are_not_taught_show_a_dash() -> None:
    text = summary({"n": 1, "answer": {"accuracy": 0.0}, "format": FORMAT}, "tiny", {})
    assert text.count(" -\n") == 5


def test_probes_are_told_if_they_were_asked() -> None:
    probes = {
        "by_probe": {"gold": {"accuracy": 0.95}, "incorrect": {"accuracy": 0.2}},
        "effects": {"gold_to_incorrect": {"answer_changes": 0.75}},
        "follows_wrong_facts": {"share": None},
        "own_repeats_prediction": {"share": 0.93},
    }
    metrics = {"n": 40, "answer": {"accuracy": 0.5}, "format": FORMAT, "probes": probes}
    lines = summary(metrics, "tiny", {}).splitlines()
    assert lines[8:13] == [
        "answer right, gold trace put in  95.0 %",
        "answer right, incorrect trace    20.0 %",
        "another answer, gold/incorrect   75.0 %",
        "answer stands in wrong facts          -",
        "same answer, own trace put in    93.0 %",
    ]


def test_more_unread_outputs_than_read_ones_are_a_loud_warning() -> None:
    def told(failed: float) -> str:
        form = {**FORMAT, "failed": failed}
        return summary({"n": 4, "answer": {"accuracy": 0.0}, "format": form}, "tiny", {})

    assert "WARNING" not in told(0.5)
    assert "WARNING: 75.0 % of the outputs could not be read." in told(0.75)
