import json
import sys

import polars as pl
from checkout import ROOT, Project
from raters import simulate, write
from repository import Repository, scores

from tracekd.rating.exports import RATINGS


def run(folder, *arguments):
    return Project(folder).run(sys.executable, ROOT / "stages/ratings.py", *arguments, check=False)


def test_ratings_are_beside_the_accuracy_of_students_trained_on_such_traces(project, key):
    repository = Repository(project)
    for regime, right in (("correct", 3), ("incorrect", 1), ("none", 2)):
        for seed in (0, 1):
            table = scores([number < right for number in range(4)])
            name = f"{regime}-{seed}"
            repository.experiment(name, table, trace_mode=regime, seed=seed, dataset="babi_sim")
    untuned = {"train": {"method": "none"}, "trace_mode": "correct", "dataset": "babi_sim"}
    repository.experiment("untuned", scores([True] * 4), **untuned)
    repository.experiment("elsewhere", scores([True]), trace_mode="correct", dataset="other")
    repository.experiment("lost", "0" * 32, trace_mode="correct", seed=2, dataset="babi_sim")
    repository.save()
    paths = write(simulate(key, 12, means={"": (4.0, 2.0)}), project / "exports")
    paths[0].write_text("{}")
    done = run(project, *paths)
    assert done.returncode == 0, done.stderr
    assert "11 raters, 88 ratings of traces." in done.stdout
    assert f"1 unreadable (not used):\n\n- {paths[0]}: not an export: plan: missing" in done.stdout
    assert "Not used: lost: " in done.stdout
    rows = [[cell.strip() for cell in line.split("|")] for line in done.stdout.splitlines()]
    accuracy = {row[2]: row[3] for row in rows if row[1:2] == ["small on babi_sim"]}
    assert accuracy["correct"].startswith("75.0 (")
    assert accuracy["incorrect"].startswith("25.0 (")
    assert accuracy.keys() == {"correct", "incorrect"}
    report = json.loads((project / "metrics/ratings.json").read_text())
    found = report["items"]["interpretability"]["types"]
    ratings = pl.read_csv(project / "metrics/ratings.csv")
    assert ratings.columns == list(RATINGS)
    some = ratings.filter(item="interpretability", type="correct")
    assert found["correct"]["mean"] == round(some["value"].mean(), 5)
    assert found["correct"]["n"] == some.height == 44
    assert (project / "plots/ratings.png").stat().st_size > 20_000


def test_without_the_key_or_any_export_the_command_says_what_to_do(project, key):
    done = run(project, "x.json", "--key", "other.json")
    assert done.returncode == 1
    assert done.stderr.startswith(
        "error: other.json: no such file; --key names the key of the page"
    )
    (project / "other.json").write_text("{}")
    done = run(project, "x.json", "--key", "other.json")
    assert done.stderr.startswith("error: other.json: not the key of a page")
    done = run(project, "x.json")
    assert done.stderr.startswith("error: x.json: No such file")
