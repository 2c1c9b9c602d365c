"""Figures across experiments."""

from tracekd.comparison import figures

ESTIMATE = {"mean": 0.5, "low": 0.4, "high": 0.6}
LINK = {
    "p_answer_if_right": dict.fromkeys(("mean", "low", "high")),
    "p_answer_if_wrong": ESTIMATE,
    "risk_difference": ESTIMATE,
}
EFFECT = {"difference": -0.1, "low": -0.2, "high": 0.01, "detectable": None}
PAIRED = {
    "regimes": {
        "none": {"answer": ESTIMATE},
        "correct": {"answer": ESTIMATE, "trace": ESTIMATE, "link": LINK},
    },
    "paired": {"correct - none": EFFECT, "shuffled - none": {**EFFECT, "detectable": 0.15}},
    "dose": {"accuracy": {"doses": {"correct": 0.0}}},
}
SINGLE = {"regimes": {"none": {"answer": ESTIMATE}}, "paired": {}, "dose": {}}
RESULTS = {"on worlds, prompt.template " + "Answer $in$ one word. " * 20: PAIRED, "x": SINGLE}


def test_the_same_results_give_the_same_files(tmp_path):
    first = figures.write_all(tmp_path / "one", RESULTS)
    second = figures.write_all(tmp_path / "two", RESULTS)
    names = [
        f"compare_{name}.png" for name in ("regimes", "effects", "association", "probes", "dose")
    ]
    assert [path.name for path in first] == names
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    assert all(path.is_file() for path in figures.write_all(tmp_path / "few", {"x": SINGLE}))


def test_undefined_estimates_are_left_out():
    ((regime, estimates),) = figures.rows_of("association", PAIRED)
    assert (regime, list(estimates)) == ("correct", ["wrong"])
