"""Figures across experiments."""

from typing import Any

from tracekd.comparison import figures

ESTIMATE = {"mean": 0.5, "value": 0.5, "low": 0.4, "high": 0.6}
UNKNOWN = {"value": None, "low": None, "high": None}
EFFECT = {"difference": -0.1, "low": -0.2, "high": 0.01, "detectable": 0.15}
RESULTS: dict[str, Any] = {
    "small on worlds, prompt.template " + "Answer $in$ one word. " * 20: {
        "regimes": {
            "none": {"answer": ESTIMATE},
            "correct": {
                "answer": ESTIMATE,
                "trace": ESTIMATE,
                "link": {"p_answer_if_right": UNKNOWN, "p_answer_if_wrong": ESTIMATE},
            },
        },
        "paired": {"correct - none": EFFECT, "shuffled - none": {**EFFECT, "detectable": None}},
    }
}


def test_the_same_results_give_the_same_files(tmp_path):
    first = figures.write_all(tmp_path / "one", RESULTS)
    second = figures.write_all(tmp_path / "two", RESULTS)
    assert [path.name for path in first] == [
        "compare_regimes.png",
        "compare_effects.png",
        "compare_association.png",
    ]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes().startswith(b"\x89PNG")
        assert one.read_bytes() == two.read_bytes()


def test_undefined_estimates_are_left_out():
    (cell,) = RESULTS.values()
    ((regime, estimates),) = figures.rows_of("association", cell)
    assert (regime, list(estimates)) == ("correct", ["wrong"])
    assert [(regime, list(known)) for regime, known in figures.rows_of("regimes", cell)] == [
        ("none", ["answer"]),
        ("correct", ["answer", "trace"]),
    ]


def test_without_pairs_and_without_results_there_are_figures_too(tmp_path):
    single = {"x": {"regimes": {"none": {"answer": ESTIMATE}}, "paired": {}}}
    assert all(path.is_file() for path in figures.write_all(tmp_path / "one", single))
