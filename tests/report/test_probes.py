import polars as pl

from tracekd.probing.effects import effects_of_traces
from tracekd.probing.verdicts import VERDICTS
from tracekd.report import probes as figure
from tracekd.statistics.values import settle

CUTS = (0, 25, 50, 75)


def metrics(probes):
    rows = [
        {
            "id": f"q/{number}",
            "question_class": "where",
            "probe": probe,
            "applied": True,
            "trace_tokens": 5,
            "answer": "home" if number % 2 else probe,
            "correct": bool(number % 2),
            "gold_logprob": -float(number),
            "from_wrong": False,
            "repeats": True,
        }
        for number in range(6)
        for probe in probes
    ]
    table = pl.DataFrame(rows, schema=VERDICTS)
    return settle({"probes": effects_of_traces(table)})[0]


def test_the_same_metrics_give_the_same_picture_and_a_row_per_probe(tmp_path):
    found = metrics(["incorrect", "gold", "own", *(f"own_cut_{p}" for p in CUTS)])
    for name in ("a", "b"):
        figure.write_all(tmp_path / name, found, "a model on stories")
    pictures = [(tmp_path / name / "probes.png").read_bytes() for name in ("a", "b")]
    assert pictures[0] == pictures[1]
    assert pictures[0].startswith(b"\x89PNG")
    table = pl.read_csv(tmp_path / "a/probes.csv")
    assert table["probe"].to_list()[:3] == ["own", "gold", "incorrect"]
    assert table.row(0)[:3] == ("own", 6, 0.5)


def test_a_few_probes_are_drawn_without_the_others(tmp_path):
    figure.write_all(tmp_path, metrics(["gold"]), "a model on stories")
    assert (tmp_path / "probes.png").is_file()


def test_without_probes_there_is_a_table_without_rows_and_no_picture(tmp_path):
    figure.write_all(tmp_path, metrics(["gold"]), "a model on stories")
    figure.write_all(tmp_path, {"n": 3}, "a model on stories")
    header = "probe,n,accuracy,accuracy_low,accuracy_high,gold_logprob\n"
    assert (tmp_path / "probes.csv").read_text() == header
    assert [path.name for path in tmp_path.iterdir()] == ["probes.csv"]


def effect(low, high):
    change = {"accuracy_change": 0.1, "accuracy_change_low": low, "accuracy_change_high": high}
    return {
        "effects": {"gold_to_incorrect": change},
        "by_probe": {"gold": {"accuracy": 0.56}, "incorrect": {"accuracy": 0.13}},
    }


def test_the_title_goes_no_further_than_the_interval():
    shares = "56 % right given the correct trace, 13 % given an incorrect one"
    lowers = "An incorrect trace in place of the correct one lowers accuracy: "
    assert figure.finding(effect(-0.5, -0.1)) == lowers + shares
    unclear = "Replacing the correct trace has no clear effect on accuracy: "
    assert figure.finding(effect(-0.5, 0.0)) == unclear + shares
    assert figure.finding(effect(None, None)) == unclear + shares
