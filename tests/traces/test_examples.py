from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tables import question as a_question
from tables import questions

from tracekd.config import DatasetSpec, Params, load_params
from tracekd.errors import TracekdError
from tracekd.records import SFT, check
from tracekd.traces.examples import build, manifest, messages, render_prompt

TEMPLATE = "Answer the question based on the context:\n{context}\nQuestion: {question}\nGo."


def params(regime: str = "correct") -> Params:
    made = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    prompt = made.prompt.model_copy(update={"system": "You answer.", "template": TEMPLATE})
    return made.model_copy(update={"trace_mode": regime, "seed": 0, "prompt": prompt})


def spec(answers: Any = "all") -> DatasetSpec:
    sentence = "Category: {class}."
    return DatasetSpec(name="x", reader="babi", answers=answers, class_sentence=sentence)


def table(key: str = "q/1", question: str = "Where is Mary?", **changed: Any) -> pl.DataFrame:
    row = {"question": question, "answers": ["home", "bed"], "question_class": "one-fact"}
    row["context"] = ["Mary went\nhome.", "Bob left."]
    return questions(a_question(key, **row | changed))


def tables(**changed: pl.DataFrame) -> dict[str, pl.DataFrame]:
    made = {
        "train": table(),
        "validation": table("q/2", "Where is Ann?", question_class="counting"),
        "test": table("q/3", "Where is Bob?"),
    }
    return made | changed


def test_an_example_reads_as_drawn() -> None:
    built = build(tables(), params(), spec())
    row = check(built["train"], SFT, "train").row(0, named=True)
    assert (row["id"], row["system"], row["regime"]) == ("q/1", "You answer.", "correct")
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
    assert (row["shown_class"], row["shown_facts"]) == ("one-fact", ["Mary went home."])
    assert (row["class_right"], row["facts_right"], row["note"]) == (True, True, None)
    assert row["filler_for"] is None


@pytest.mark.parametrize(
    ("regime", "answers", "stated"),
    [
        ("correct", "all", False),  # home, but not bed
        ("correct", "any", True),
        ("wrong_facts", "all", True),
        ("none", "all", None),
    ],
)
def test_a_row_says_whether_the_facts_shown_state_the_answer(
    regime: str, answers: str, stated: bool | None
) -> None:
    train = table(context=["Mary went home.", "Home is a bed."])
    assert build(tables(train=train), params(regime), spec(answers))["train"][
        "states_answer"
    ].to_list() == [stated]


def test_wrong_facts_are_drawn_as_params_yaml_says() -> None:
    train = tables(train=table(context=["Mary went home.", "Bob has a home."]))
    chosen = params("wrong_facts").model_copy(update={"wrong_facts": "any"})
    assert build(train, chosen, spec())["train"]["note"].to_list() == [None]
    noted = build(train, params("wrong_facts"), spec())["train"]["note"]
    assert noted.to_list() == ["every other fact in the context names an answer"]


def test_a_filler_has_the_length_of_a_correct_training_trace_in_every_split() -> None:
    correct = build(tables(), params(), spec())["train"].row(0, named=True)
    test = table("q/9", "Where is Mary now?", gold_facts=[0, 1])
    built = build(tables(test=test), params("filler"), spec())
    for split in ("train", "test"):
        row = built[split].row(0, named=True)
        assert row["completion"] == "<think>\n...\n</think>\n<answer>home; bed</answer>"
        assert row["filler_for"] == correct["completion"][: correct["answer_start"]]


@pytest.mark.parametrize("regime", ["none", "incorrect", "shuffled", "filler"])
def test_the_answer_taught_is_always_the_right_one(regime: str) -> None:
    train = build(tables(), params(regime), spec())["train"]
    assert train["completion"][0].endswith("<answer>home; bed</answer>")


def test_wrong_classes_come_from_all_splits_and_other_traces_from_the_same_split() -> None:
    wrong = build(tables(), params("wrong_class"), spec())["train"]
    assert wrong["shown_class"].to_list() == ["counting"]
    pair = pl.concat([table(), table("q/4", "Who left?", gold_facts=[1])])
    shuffled = build(tables(train=pair), params("shuffled"), spec())
    assert shuffled["train"]["shown_facts"].to_list() == [["Bob left."], ["Mary went home."]]
    assert shuffled["test"]["note"].to_list() == ["no other question with another trace"]


def test_shots_have_completions_of_the_regime_and_leave_the_training_rows_as_they_are() -> None:
    asked = tables(train=pl.concat([table(), table("q/4", "Who left?", gold_facts=[1])]))
    shots = table("q/5", "Who is at home?", gold_facts=[0, 1], question_class="who")
    for regime in ("shuffled", "incorrect", "filler"):
        built = build(asked | {"shots": shots}, params(regime), spec())
        if regime != "incorrect":  # its wrong classes come from the shots too
            assert built["train"].equals(build(asked, params(regime), spec())["train"])
        check(built["shots"], SFT, "shots")
    shown = build(asked | {"shots": shots}, params("shuffled"), spec())["shots"].row(0, named=True)
    assert (shown["class_right"], shown["note"]) == (False, None)  # another training question's
    assert shown["regime"] == "shuffled"
    made = manifest(built, asked | {"shots": shots})
    assert messages(made)[-1] == "1 other training questions before every question"
    with pytest.raises(TracekdError, match="test and shots: 1 questions are in both"):
        build(asked | {"shots": asked["test"]}, params(), spec())


def test_of_alternative_answers_the_first_is_taught() -> None:
    train = build(tables(), params("none"), spec("any"))["train"]
    assert train["completion"].to_list() == ["<answer>home</answer>"]


def test_slots_inside_data_are_left_alone() -> None:
    prompt = render_prompt("{question}|{context}", "{context}?", ["{question}", "b"])
    assert prompt == "{context}?|- {question}\n- b"


def test_a_blank_answer_is_reported_with_its_question() -> None:
    with pytest.raises(TracekdError, match=r"question q/1 \(file:1\): .* not blank"):
        build(tables(train=table(answers=[" "])), params(), spec())


@pytest.mark.parametrize("split", ["train", "validation"])
@pytest.mark.parametrize(
    ("seen", "column"),
    [(table("q/3", "Where?"), "id"), (table("q/4", "Where  is Bob?"), "prompt")],
    ids=["id", "prompt"],
)
def test_a_test_question_that_training_has_seen_is_refused(
    split: str, seen: pl.DataFrame, column: str
) -> None:
    message = rf"test and {split}: 1 questions are in both, q/3 .*same {column}"
    with pytest.raises(TracekdError, match=message):
        build(tables(**{split: seen}), params(), spec())


def test_the_manifest_counts_what_traces_show_and_notes() -> None:
    asked = tables(
        train=pl.concat(
            [
                table(context=["Mary went home to bed.", "Bob left."]),
                table("q/4", "Who?", context=["Bob went home to bed."], question_class="counting"),
                table("q/5", "Who left?"),
            ]
        )
    )
    built = build(asked | {"train": asked["train"].head(2)}, params("wrong_facts"), spec())
    made = manifest(built, asked)
    yes, no = {"yes": 1, "of": 1}, {"yes": 0, "of": 1}
    wrong = {"class_right": yes, "facts_right": no, "states_answer": no}
    assert made["train"] == {
        "examples": 2,
        "drawn_from": 3,
        "class_right": {"yes": 2, "of": 2},
        "facts_right": {"yes": 0, "of": 2},
        "states_answer": {"yes": 0, "of": 2},
        "notes": {"no other fact in the context": 1},
        "classes": {"counting": wrong, "one-fact": wrong},
    }
    assert messages(made) == [
        "2 of 3 training questions",
        "the class is right in 2 of 2",
        "the facts are right in 0 of 2",
        "the trace states the answer in 0 of 2",
        "1 traces: no other fact in the context",
    ]
    correct = messages(manifest(build(asked, params(), spec()), asked))
    assert correct[-1] == "the trace states the answer in 2 of 3: counting 1, one-fact 1"
    none = manifest(build(asked, params("none"), spec()), asked)
    assert none["test"]["states_answer"] == {"yes": 0, "of": 0}
    assert messages(none) == ["3 of 3 training questions"]
