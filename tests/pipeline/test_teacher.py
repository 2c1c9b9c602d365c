"""A teacher's traces from a file, taught by whole experiments."""

import json
import sys

import polars as pl
import pytest
from checkout import Project, stages_run


@pytest.mark.slow
def test_traces_from_a_file_are_taught_judged_and_matched(baseline: Project) -> None:
    lines = []
    for split in ("train", "validation", "test"):
        for row in pl.read_parquet(baseline.path / f"data/decomposed/{split}.parquet").to_dicts():
            wrong = row["question_class"] == "single-supporting-fact" and split == "test"
            answer = "nowhere" if wrong else "; ".join(row["answers"])
            trace = f"{row['context'][0]}\nSo it is {answer}."
            lines.append({"id": row["id"], "trace": trace, "answer": answer})
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (baseline.path / "traces.jsonl").write_text(text)
    before = (baseline.path / "teachers.yaml").read_text()
    try:
        pin = ("--pin", "r1", "--path", "traces.jsonl")
        baseline.run(sys.executable, "stages/teach.py", *pin)
        settings = ("-S", "teacher.name=r1", "-S", "teacher.match=true", "-S", "trace_mode=teacher")
        done = baseline.dvc("exp", "run", *settings)
        assert stages_run(done) == ["teach", "build-sft", "train", "infer", "probe", "analyze"]
        sft = pl.read_parquet(baseline.path / "data/sft/train.parquet")
        assert sft["completion"].str.contains("\nSo it is ").all()
        details = json.loads((baseline.path / "metrics/details.json").read_text())
        kept = {
            name: one["with_kept_trace"] for name, one in details["selection"]["by_class"].items()
        }
        assert kept["single-supporting-fact"] == 0
        assert sum(kept.values()) == 20
        again = baseline.dvc("exp", "run", "-S", "trace_mode=correct", "build-sft")
        assert stages_run(again) == ["build-sft"]
        matched = pl.read_parquet(baseline.path / "data/sft/train.parquet")
        assert matched["id"].to_list() == sft["id"].to_list()
    finally:
        (baseline.path / "teachers.yaml").write_text(before)
        baseline.run("git", "checkout", "-q", "--", ".")
        baseline.dvc("checkout", "-q")
