"""Answers given other traces, over seeds: from the cache to compare's table and the page."""

import polars as pl
import pytest
from repository import GONE, Repository, compared, predictions, questions, scores

from tracekd import records
from tracekd.comparison import figures as plots
from tracekd.report.page import figures, prose

#: Seed -> probe -> the verdict on each of four questions; a dot is one that was not run.
ASKED = (
    {"gold": "1110", "incorrect": "0100", "own": "110."},
    {"gold": "1100", "incorrect": "0000", "own": "11.0"},
    {"gold": "1111", "incorrect": "0010", "own": "1100"},
)
NOT_RUN = {"shuffled": "....", "empty": "...."}
TEXTS = {"1": "<answer>out</answer>", "0": "<answer>in</answer>", ".": ""}


def table(asked):
    rows = [
        {
            "id": f"worlds/test/{at:04}",
            "probe": probe,
            "trace": "",
            "text": TEXTS[verdict],
            "finish_reason": "not_applicable" if verdict == "." else "stop",
            "trace_tokens": 1,
            "completion_tokens": 3,
            "gold_logprob": -1.0,
            "gold_tokens": 1,
            "note": None,
        }
        for probe, verdicts in {**NOT_RUN, **asked}.items()
        for at, verdict in enumerate(verdicts)
    ]
    return pl.DataFrame(rows, schema=records.PROBES)


def probed(path, asked, gone=False):
    repository = Repository(path)
    test = repository.keep(questions("aabb"), records.DECOMPOSED)
    texts = repository.keep(predictions(["<answer>out</answer>"] * 4), records.PREDICTIONS)
    for seed, probes in enumerate(asked):
        kept = GONE if gone else repository.keep(table(probes), records.PROBES)
        files = {"data/predictions.parquet": texts, "data/probes.parquet": kept}
        options = {"seed": seed, "questions": test, "files": files, "probes": {"enabled": True}}
        repository.experiment(f"correct-{seed}", scores([True] * 4, classes="aabb"), **options)
    repository.experiment(
        "none-0", scores([True] * 4, classes="aabb"), trace_mode="none", questions=test
    )
    made = compared(repository)
    return made.found["results"].values(), made.text, made.undefined


def test_probes_of_three_seeds_have_crossed_intervals(tmp_path):
    (cell,), text, _ = probed(tmp_path, ASKED)
    probes = cell["regimes"]["correct"]["probes"]
    accuracies = {name: (one["n"], one["mean"]) for name, one in probes["by_probe"].items()}
    # Given its own trace, only the first two questions were asked in all seeds.
    assert accuracies == {
        "gold": (4, 0.75),
        "incorrect": (4, pytest.approx(2 / 12, abs=1e-6)),
        "own": (2, 1),
    }
    effect = probes["effect"]
    assert (effect["seeds"], effect["n"]) == (["0", "1", "2"], 4)
    assert effect["difference"] == pytest.approx(-7 / 12, abs=1e-6)
    assert effect["low"] < -7 / 12 < effect["high"]
    assert "crossed, 3 seeds x 4 questions" in probes["by_probe"]["gold"]["interval"]
    assert "| correct | 0, 1, 2 | 75.0 (" in text
    assert ") [2] | -58.3 (" in text  # on how many questions its own trace was given
    assert "| -58.3 (" in text
    (drawn,) = (one for one in figures.of_cell(cell, {"x": {}}) if "another trace" in one["title"])
    assert [row["label"] for row in drawn["rows"]][:2] == ["correct trace", "incorrect trace"]
    rows = dict(plots.rows_of("probes", cell))
    assert rows["correct: correct trace"]["answer"]["mean"] == 0.75
    assert "regime correct by −58.3 points" in list(prose.findings(cell))[-1]


def test_one_seed_supports_no_claim_about_the_effect(tmp_path):
    (cell,), text, undefined = probed(tmp_path, ASKED[:1])
    effect = cell["regimes"]["correct"]["probes"]["effect"]
    assert (effect["difference"], effect["low"]) == (-0.5, None)
    assert "| correct | 0 " in text
    assert not [line for line in prose.findings(cell) if "in place of" in line]
    assert any(path.endswith("probes.effect.low") for path in undefined)


def test_probes_that_are_not_here_are_said_to_be_unknown(tmp_path):
    (cell,), _, undefined = probed(tmp_path, ASKED, gone=True)
    assert cell["regimes"]["correct"]["probes"] is None
    assert any("fetch it with `dvc exp pull" in reason for reason in undefined.values())
    assert "probes" not in cell["regimes"]["none"]
