"""Figures: what they hold, and that the same input gives the same bytes."""

from pathlib import Path

import polars as pl
import pytest

from tracekd.report import figures

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
        }
    },
}
METRICS = {**GROUP, "by_class": {"what": GROUP, "where": GROUP}}
UNTRACED = {"n": 2, "answer": {"accuracy": 0.5}}


def test_the_confusion_plot_has_one_row_per_question() -> None:
    scores = pl.DataFrame({"trace_correct": [True, False], "answer_correct": [True, True]})
    assert figures.confusion(scores).rows() == [("right", "right"), ("wrong", "right")]


def test_the_confusion_plot_is_empty_without_taught_steps() -> None:
    schema = {"trace_correct": pl.Boolean, "answer_correct": pl.Boolean}
    scores = pl.DataFrame({"trace_correct": [None], "answer_correct": [True]}, schema=schema)
    assert figures.confusion(scores).columns == ["trace", "answer"]
    assert figures.confusion(scores).is_empty()


def test_tables_by_class_and_by_step() -> None:
    assert figures.accuracy_by_class(METRICS).rows() == [
        ("what", 4, 0.5, 0.25),
        ("where", 4, 0.5, 0.25),
    ]
    assert figures.steps(METRICS).rows() == [
        ("class", 0.75),
        ("facts, exact", 0.5),
        ("facts, F1", 0.6),
        ("whole trace", 0.25),
        ("answer", 0.5),
    ]
    assert figures.steps(UNTRACED).rows() == [("answer", 0.5)]


def test_losses_are_read_from_the_training_log(tmp_path: Path) -> None:
    log = tmp_path / "plots/metrics/train"
    log.mkdir(parents=True)
    (log / "loss_answer.tsv").write_text("step\tloss_answer\n1\t2.5\n2\t1.5\n")
    losses = figures.read_losses(tmp_path)
    assert losses is not None
    assert losses.rows() == [(1, None, 2.5), (2, None, 1.5)]
    (log / "loss_trace.tsv").write_text("step\tloss_trace\n2\t0.5\n1\t3\n")
    both = figures.read_losses(tmp_path)
    assert both is not None
    assert both.rows() == [(1, 3.0, 2.5), (2, 0.5, 1.5)]
    assert figures.read_losses(tmp_path / "none") is None


def test_the_overview_has_the_same_bytes_each_time(tmp_path: Path) -> None:
    losses = pl.DataFrame({"step": [1, 2], "trace": [2.0, 1.0], "answer": [3.0, 0.5]})
    for name in ("one.png", "two.png"):
        figures.write_overview(tmp_path / name, METRICS, "student", losses)
    first = (tmp_path / "one.png").read_bytes()
    assert first.startswith(b"\x89PNG")
    assert first == (tmp_path / "two.png").read_bytes()


@pytest.mark.parametrize(
    ("title", "lines"),
    [
        ("smollm2 on babi_sim, trace mode correct, seed 0  (n = 220)", 1),
        ("a-model-with-a-long-name on a_data_set_with_a_long_name, trace mode mixed with " * 2, 2),
        ("SmolLM2_360M_instruct-" * 7, 2),
    ],
)
def test_a_title_is_as_wide_as_the_figure_at_most_and_above_what_is_drawn(
    tmp_path: Path, title: str, lines: int
) -> None:
    with figures.picture(tmp_path / "x.png", title, (10, 7.2)) as figure:
        axes = figure.subplots()
        axes.set_title("below")
    (shown,) = (text for text in figure.texts if text.get_text().startswith(title[:9]))
    assert shown.get_text().count("\n") == lines - 1
    box = shown.get_window_extent()
    assert box.x1 < figure.bbox.x1
    assert box.y1 < figure.bbox.y1
    assert box.y0 > axes.title.get_window_extent().y1


def test_every_plot_is_written_also_without_trace_and_log(tmp_path: Path) -> None:
    schema = {"trace_correct": pl.Boolean, "answer_correct": pl.Boolean}
    scores = pl.DataFrame({"trace_correct": [None], "answer_correct": [True]}, schema=schema)
    metrics = {**UNTRACED, "by_class": {"what": UNTRACED}}
    figures.write_all(tmp_path, scores, metrics, "student", None)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "accuracy_by_class.csv",
        "confusion.csv",
        "overview.png",
        "steps.csv",
    ]
