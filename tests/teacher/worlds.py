"""Small tables of questions, and entries of teachers, for the tests of this folder."""

from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from tracekd.config import (
    DatasetSpec,
    Params,
    TeacherParams,
    TeacherSpec,
    load_params,
    parse_settings,
)
from tracekd.records import DECOMPOSED
from tracekd.teacher.run import Task, teach

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "models.yaml"
DATASET = DatasetSpec(name="x", reader="babi")
PROMPTS = {
    "trace": "{context}\nQuestion: {question}",
    "summary": "Shorten: {trace}",
    "explanation": "{question} {answer}: why? {trace}",
    "steps": "{context}\n{question}\n{form}\n{classes}",
}


def question(key: str, asked: str, **changed: Any) -> dict[str, Any]:
    row = {
        "id": key,
        "question": asked,
        "context": ["Mary went home.", "Bob left."],
        "answers": ["home"],
        "question_class": "one-fact",
        "subtype": None,
        "gold_facts": [0],
        "source": "f:1",
        "answer_in_facts": True,
        "leaks": None,
    }
    return row | changed


def tables(count: int = 4) -> dict[str, pl.DataFrame]:
    """Return splits of `count`, 1 and 1 questions, "Where is Mary at N?"."""
    rows = {
        "train": [question(f"x/train/{n}", f"Where is Mary at {n}?") for n in range(count)],
        "validation": [question("x/validation/0", "Where is Mary at noon?")],
        "test": [question("x/test/0", "Where is Mary at night?")],
    }
    return {split: pl.DataFrame(each, schema=DECOMPOSED) for split, each in rows.items()}


class Output(NamedTuple):
    traces: pl.DataFrame
    manifest: dict[str, Any]


def run_teacher(entry: TeacherSpec, asked: dict[str, pl.DataFrame], settings: Params) -> Output:
    return Output(*teach(Task(entry, asked, settings, DATASET, MODELS)))


def params(**teacher: Any) -> Params:
    made = load_params(ROOT / "params.yaml")
    return made.model_copy(update={"teacher": TeacherParams(name="big", **teacher)})


def spec(url: str, kinds: tuple[str, ...] = ("trace",), **changed: Any) -> TeacherSpec:
    """Return an entry that asks a server; keys of `endpoint` may be changed."""
    endpoint = {"base_url": url, "model": "teacher", "timeout": 5.0, "retries": 2, "concurrency": 4}
    content = {
        "name": "big",
        "endpoint": endpoint | changed.pop("endpoint", {}),
        "prompts": {kind: PROMPTS[kind] for kind in kinds},
    }
    return parse_settings(TeacherSpec, content | changed, "teachers.yaml: big")
