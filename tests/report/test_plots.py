"""The tables that DVC plots."""

import polars as pl

from tracekd.report import plots

GROUP = {
    "n": 4,
    "answer": {"accuracy": 0.5},
    "class": {"accuracy": 0.75},
    "facts": {"exact": 0.5, "f1": 0.6},
    "trace": {"accuracy": 0.25},
}
UNTRACED = {"n": 2, "answer": {"accuracy": 0.5}}


def test_the_confusion_plot_has_one_row_per_question_with_a_trace():
    scores = pl.DataFrame(
        {"trace_correct": [True, False, None], "answer_correct": [True, True, True]}
    )
    assert plots.confusion(scores).rows() == [("right", "right"), ("wrong", "right")]


def test_tables_by_class_and_by_step():
    found = plots.accuracy_by_class({"by_class": {"what": GROUP, "where": UNTRACED}})
    assert found.rows() == [("what", 4, 0.5, 0.25), ("where", 2, 0.5, None)]
    assert plots.steps(GROUP).rows() == [
        ("class", 0.75),
        ("facts, exact", 0.5),
        ("facts, F1", 0.6),
        ("trace exact match", 0.25),
        ("answer", 0.5),
    ]
    assert plots.steps(UNTRACED).rows() == [("answer", 0.5)]


def test_every_table_is_written_also_without_traces(tmp_path):
    schema = {"trace_correct": pl.Boolean, "answer_correct": pl.Boolean}
    scores = pl.DataFrame({"trace_correct": [None], "answer_correct": [True]}, schema)
    plots.write_all(tmp_path, scores, {**UNTRACED, "by_class": {"what": UNTRACED}})
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["accuracy_by_class.csv", "confusion.csv", "probes", "steps.csv"]
    assert (tmp_path / "confusion.csv").read_text() == "trace,answer\n"
    header = "probe,n,accuracy,accuracy_low,accuracy_high,gold_logprob\n"
    assert (tmp_path / "probes/probes.csv").read_text() == header


def test_probes_that_were_run_have_a_row_in_their_order():
    one = {"n": 6, "accuracy": 0.5, "accuracy_low": 0.1, "accuracy_high": 0.9, "gold_logprob": -2.5}
    found = {"gold": one, "filler": {**one, "n": 0}, "own": one}
    table = plots.probes({"probes": {"by_probe": found}})
    assert table.rows() == [("own", *one.values()), ("gold", *one.values())]
