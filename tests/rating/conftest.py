"""A small study: eight test questions of two classes, two trace types."""

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import yaml
from worlds import question

from tracekd import records
from tracekd.rating.page import KEY, write_rating_page
from tracekd.traces.taught import TEACHER

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def project(tmp_path):
    """A folder with settings and data, as `dvc repro` leaves them; it has no page yet."""
    for name in ("params.yaml", "datasets.yaml"):
        shutil.copy(ROOT / name, tmp_path)
    settings = yaml.safe_load((ROOT / "rating.yaml").read_text())
    settings |= {"types": ["correct", "incorrect"], "raters": 40, "questions": 8}
    (tmp_path / "rating.yaml").write_text(yaml.safe_dump(settings))
    for split in records.SPLITS:
        rows = [row(f"babi_sim/{split}/{n}", n) for n in range(8)]
        table = pl.DataFrame(rows, schema=records.DECOMPOSED)
        records.write(table, tmp_path / f"data/decomposed/{split}.parquet", records.DECOMPOSED)
    teacher = tmp_path / "data/teacher/traces.parquet"
    records.write(pl.DataFrame(schema=TEACHER), teacher, TEACHER)
    return tmp_path


@pytest.fixture
def key(project):
    """The key of the project's page."""
    write_rating_page(project)
    return json.loads((project / KEY).read_text())


def row(key, number):
    who = "Mary" if "test" in key else "Tom" if "train" in key else "Eve"
    return question(
        key,
        f"Where is {who} at {number} o'clock?",
        context=[f"{who} is in room {number}.", "Bob has left.", "<b>Ann</b> stays."],
        answers=[f"room {number}"],
        question_class=("place", "person")[number % 2],
    )
