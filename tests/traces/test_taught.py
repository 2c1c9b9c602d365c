from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tables

from tracekd.config import DatasetSpec, Params, TeacherParams, load_params
from tracekd.errors import TracekdError
from tracekd.traces.examples import build
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar
from tracekd.traces.taught import TEACHER, taught_of, with_traces

GRAMMAR = Grammar("The category of the question is: {class}.")
SPEC = DatasetSpec(name="x", reader="babi")
STEPS = GRAMMAR.render_trace(Trace("who", ()))


def row(key: str, kind: str = "trace", sample: int = 0, **changed: Any) -> dict[str, Any]:
    made = dict.fromkeys(TEACHER) | {"id": key, "kind": kind, "sample": sample, "status": "ok"}
    counts = {"finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1}
    text = {"text": f"{kind} {sample} of {key}", "answer": "own", "kept": True}
    return made | text | counts | changed


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=TEACHER)


def questions(*names: str) -> pl.DataFrame:
    rows = (tables.question(name, question=f"Where is {name}?") for name in names)
    return tables.questions(*rows)


SPLITS = {"train": questions("a", "b", "c"), "validation": questions("v"), "test": questions("t")}
ROWS = [
    *(row(key) for key in ("a", "b", "v")),
    *(row(key, "steps", text=STEPS) for key in ("a", "v")),
    row("c", kept=False),
]


def params(mode: str, **teacher: Any) -> Params:
    made = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    return made.model_copy(update={"trace_mode": mode, "teacher": TeacherParams(**teacher)})


def test_one_kept_sample_is_taught_the_same_for_every_kind() -> None:
    rows = [row("a", kind, n) for kind in ("trace", "summary") for n in range(4)]
    drawn = set()
    for seed in range(20):
        found = taught_of(table(*rows, row("b", kept=False)), SPEC, seed).traces
        texts = [found[kind]["a"].text or "" for kind in ("trace", "summary")]
        assert texts[0].removeprefix("trace") == texts[1].removeprefix("summary")
        assert found["trace"].keys() == {"a"}
        drawn.add(texts[0])
    assert len(drawn) == 4


def test_steps_are_shown_as_steps() -> None:
    found = taught_of(table(*ROWS), SPEC, 0)
    assert found.traces["steps"]["a"] == Trace("who", ())
    built = build(SPLITS | {"train": questions("a")}, params("teacher_steps"), SPEC, found)["train"]
    assert built.select("shown_class", "class_right", "facts_right").row(0) == ("who", False, False)
    assert built["completion"][0] == f"{STEPS}<answer>home</answer>"


@pytest.mark.parametrize(
    ("mode", "match", "train"),
    [
        ("correct", False, ["a", "b", "c"]),
        ("correct", True, ["a"]),
        ("teacher", False, ["a", "b"]),
        ("teacher", True, ["a"]),
        ("teacher_steps", False, ["a"]),
    ],
)
def test_a_regime_is_taught_questions_with_a_kept_trace(
    mode: str, match: bool, train: list[str]
) -> None:
    found = taught_of(table(*ROWS), SPEC, 0)
    left = with_traces(SPLITS, found, mode, TeacherParams(match=match))
    assert left["train"]["id"].to_list() == train
    assert left["test"]["id"].to_list() == ["t"]


@pytest.mark.parametrize(("mode", "match"), [("teacher_summary", False), ("none", True)])
def test_a_regime_without_the_traces_that_it_needs_is_refused(mode: str, match: bool) -> None:
    nothing = taught_of(table(*(ROWS if not match else [])), SPEC, 0)
    with pytest.raises(TracekdError, match=f"{mode}.*no train question has a kept trace"):
        with_traces(SPLITS, nothing, mode, TeacherParams(match=match))


def test_the_answer_taught_is_the_datasets_or_the_teachers_own() -> None:
    found = taught_of(table(*ROWS), SPEC, 0)
    splits = SPLITS | {"train": questions("a", "b")}
    for answer, taught in (("dataset", "home"), ("teacher", "own")):
        for mode, trace in (("teacher", "trace 0 of a"), ("teacher_filler", "...")):
            built = build(splits, params(mode, answer=answer), SPEC, found)
            row = built["train"].row(0, named=True)
            assert row["completion"] == f"<think>\n{trace}\n</think>\n<answer>{taught}</answer>"
            shown = "<think>\n...\n</think>\n" if mode == "teacher_filler" else ""
            assert built["test"]["completion"].to_list() == [f"{shown}<answer>home</answer>"]
    assert row["filler_for"] == "<think>\ntrace 0 of a\n</think>\n"
    correct = build(splits, params("correct", answer="teacher"), SPEC, found)["train"]
    assert correct["completion"][0].endswith("<answer>home</answer>")


def test_free_text_that_states_the_answer_is_counted() -> None:
    rows = [row("a", text="So home."), row("b", text="Hm."), row("v")]
    splits = SPLITS | {"train": questions("a", "b")}
    built = build(splits, params("teacher"), SPEC, taught_of(table(*rows), SPEC, 0))
    assert built["train"]["states_answer"].to_list() == [True, False]
