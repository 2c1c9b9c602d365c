from pathlib import Path

import polars as pl
import pytest

from tracekd.config import DatasetSpec, PromptParams, load_params
from tracekd.errors import TracekdError
from tracekd.records import DECOMPOSED, SFT, check
from tracekd.sft import build, build_splits, manifest, render_prompt, taught_answers

TEMPLATE = "Answer the question based on the context:\n{context}\nQuestion: {question}\nGo."
PROMPT = PromptParams(system="You answer.", template=TEMPLATE)


def spec(answers: str = "all") -> DatasetSpec:
    return DatasetSpec(
        reader="babi",
        answer_metric="exact_match",
        answers=answers,
        class_sentence="Category: {class}.",
        facts={"paper": "annotated"},
    )


def table(answers: list[str]) -> pl.DataFrame:
    row = {
        "id": "q/1",
        "question": "Where is Mary?",
        "context": ["Mary went\nhome.", "Bob left."],
        "answers": answers,
        "question_class": "one-fact",
        "subtype": None,
        "gold_facts": [0],
        "source": "f:1",
        "step_facts": [0],
        "answer_in_facts": True,
    }
    return pl.DataFrame([row], schema=dict(DECOMPOSED))


def built(answers: list[str], mode: str = "correct") -> pl.DataFrame:
    return build(
        table(answers),
        trace_mode=mode,
        seed=0,
        corruption=0.5,
        classes=("one-fact", "counting"),
        prompt=PROMPT,
        spec=spec(),
    )


def test_an_example_reads_as_drawn() -> None:
    row = check(built(["home", "bed"]), SFT, "built").row(0, named=True)
    assert row["prompt"] == (
        "Answer the question based on the context:\n- Mary went home.\n- Bob left.\n"
        "Question: Where is Mary?\nGo."
    )
    assert row["completion"] == (
        "<think>\nCategory: one-fact.\n"
        "I need to use the following facts to answer the question:\n- Mary went home.\n</think>\n"
        "<answer>home; bed</answer>"
    )
    assert row["completion"][row["answer_start"] :] == "<answer>home; bed</answer>"
    assert (row["class_right"], row["facts_right"]) == (True, True)


@pytest.mark.parametrize("mode", ["none", "incorrect", "shuffled", "filler"])
def test_the_answer_taught_is_always_the_right_one(mode: str) -> None:
    assert built(["home"], mode)["completion"][0].endswith("<answer>home</answer>")


def test_slots_inside_data_are_left_alone() -> None:
    prompt = render_prompt("{question}|{context}", ["{question}"], "{context}?")
    assert prompt == "{context}?|- {question}"


def test_alternatives_teach_the_first_answer() -> None:
    assert taught_answers(["a", "b"], spec("any")) == ("a",)


def test_a_blank_answer_names_the_question() -> None:
    with pytest.raises(TracekdError, match=r"question q/1: .* not blank"):
        built([" "])


def test_the_manifest_counts_right_and_wrong_steps() -> None:
    assert manifest({"train": built(["home"], "wrong_class")})["train"] == {
        "examples": 1,
        "class_step": {"right": 0, "wrong": 1, "not_shown": 0},
        "facts_step": {"right": 1, "wrong": 0, "not_shown": 0},
        "notes": {},
    }


@pytest.mark.parametrize("key", ["id", "prompt"])
def test_a_test_question_that_training_has_seen_is_refused(key: str) -> None:
    params = load_params(Path(__file__).resolve().parents[1] / "params.yaml")
    train = table(["home"])
    other = {"id": pl.lit("q/2"), "question": pl.lit("Where is Bob?")}
    apart = train.with_columns(**other)
    assert set(build_splits({"train": train, "test": apart}, params, spec())) == {"train", "test"}
    other.pop({"id": "id", "prompt": "question"}[key])
    leaked = train.with_columns(**other)
    with pytest.raises(TracekdError, match=rf"test and train: 1 questions stand in both, .*{key}"):
        build_splits({"train": train, "test": leaked}, params, spec())
