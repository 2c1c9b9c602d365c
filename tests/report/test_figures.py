"""Figures: what they show, and that the same input gives the same bytes."""

import polars as pl

from tracekd.report import figures
from tracekd.report.contents import losses_of

BOUNDS = {"low": 0.1, "high": 0.9}
GROUP = {
    "n": 4,
    "answer": {"accuracy": 0.5},
    "class": {"accuracy": 0.75},
    "facts": {"exact": 0.5, "f1": 0.6},
    "trace": {"accuracy": 0.25},
    "link": {
        "trace": {
            "right_right": 1,
            "right_wrong": 0,
            "wrong_right": 1,
            "wrong_wrong": 2,
            "p_answer_if_right": 1.0,
            "p_answer_if_wrong": 1 / 3,
            "risk_difference_low": -0.1,
            "risk_difference_high": 0.9,
            "p_value": 1.0,
        }
    },
    "intervals": {"link": {"trace": {f"p_answer_if_{x}": BOUNDS for x in ("right", "wrong")}}},
}
DETAILS = {**GROUP, "by_class": {"what": GROUP, "where": GROUP}}
UNTRACED = {"n": 2, "answer": {"accuracy": 0.5}}
VERDICTS = {"trace_correct": pl.Boolean, "answer_correct": pl.Boolean}


def test_the_confusion_plot_has_one_row_per_question_with_a_trace():
    scores = pl.DataFrame(
        {"trace_correct": [True, False, None], "answer_correct": [True, True, True]}
    )
    assert figures.confusion(scores).rows() == [("right", "right"), ("wrong", "right")]


def test_tables_by_class_and_by_step():
    assert figures.accuracy_by_class(DETAILS).rows() == [
        ("what", 4, 0.5, 0.25),
        ("where", 4, 0.5, 0.25),
    ]
    assert figures.steps(DETAILS).rows() == [
        ("class", 0.75),
        ("facts, exact", 0.5),
        ("facts, F1", 0.6),
        ("trace exact match", 0.25),
        ("answer", 0.5),
    ]
    assert figures.steps(UNTRACED).rows() == [("answer", 0.5)]


def test_the_overview_has_the_same_bytes_each_time(tmp_path):
    losses = pl.DataFrame({"step": [1, 2], "train_trace": [2.0, 1.0], "train_answer": [3.0, 0.5]})
    for name in ("one.png", "two.png"):
        figures.write_overview(tmp_path / name, DETAILS, "student", losses)
    first = (tmp_path / "one.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert first == (tmp_path / "two.png").read_bytes()


def test_every_plot_is_written_also_without_trace_and_log(tmp_path):
    scores = pl.DataFrame({"trace_correct": [None], "answer_correct": [True]}, schema=VERDICTS)
    details = {**UNTRACED, "by_class": {"what": UNTRACED}}
    figures.write_all(tmp_path, scores, details, "student", losses_of({}))
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["accuracy_by_class.csv", "confusion.csv", "overview.png", "steps.csv"]
    assert (tmp_path / "confusion.csv").read_text() == "trace,answer\n"


def test_a_verdict_without_traces_is_left_out_of_the_picture(tmp_path):
    link = {**GROUP["link"]["trace"], "right_right": 0, "p_answer_if_right": None}
    details = {**DETAILS, "link": {"trace": link}}
    figures.write_overview(tmp_path / "x.png", details, "student", losses_of({}))
    assert (tmp_path / "x.png").is_file()
