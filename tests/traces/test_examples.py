from pathlib import Path

import polars as pl
import pytest

from tracekd.config import DatasetSpec, PromptParams, load_params
from tracekd.errors import TracekdError
from tracekd.records import DECOMPOSED, QUESTIONS, SFT, SPLITS, STEPS, check
from tracekd.tables import read, write
from tracekd.traces.examples import (
    build,
    build_files,
    manifest,
    prompted,
    render_prompts,
    taught_answers,
    told,
)

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
        "gold_facts": [0],
        "answer_in_facts": True,
    }
    return pl.DataFrame([row], schema=dict(DECOMPOSED))


def built(answers: list[str], mode: str = "correct") -> pl.DataFrame:
    return build(
        prompted(table(answers), PROMPT),
        trace_mode=mode,
        seed=0,
        corruption=0.5,
        classes=("one-fact", "counting"),
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
    asked = pl.DataFrame({"question": ["{context}?"], "context": [["{question}", "b"]]})
    prompts = asked.select(render_prompts("{question}|{context}"))
    assert prompts.item() == "{context}?|- {question}\n- b"


def test_alternatives_teach_the_first_answer() -> None:
    assert taught_answers(["a", "b"], spec("any")) == ("a",)


def test_a_blank_answer_names_the_question() -> None:
    with pytest.raises(TracekdError, match=r"question q/1: .* not blank"):
        built([" "])


def test_the_manifest_counts_right_and_wrong_steps() -> None:
    made = manifest({"train": built(["home"], "wrong_class")})
    assert not told(made)
    assert made["train"] == {
        "examples": 1,
        "class_step": {"right": 0, "wrong": 1, "not_shown": 0},
        "facts_step": {"right": 1, "wrong": 0, "not_shown": 0},
        "notes": {},
    }


def test_traces_that_are_not_what_their_regime_promises_are_told() -> None:
    made = {"train": {"examples": 3, "notes": {"no other class in the data set": 2}}}
    assert told(made) == ["train: 2 of 3 traces: no other class in the data set"]


def files(folder: Path, **splits: pl.DataFrame) -> tuple[Path, Path]:
    """Write what the stages prepare and decompose write of these splits; return both folders."""
    prepared, decomposed = folder / "prepared", folder / "decomposed"
    for name, rows in splits.items():
        schema = DECOMPOSED if name == "test" else STEPS
        write(rows.select(list(QUESTIONS)), prepared / f"{name}.parquet", QUESTIONS)
        write(rows.select(list(schema)), decomposed / f"{name}.parquet", schema)
    return prepared, decomposed


@pytest.mark.parametrize("key", ["id", "prompt"])
def test_a_test_question_that_training_has_seen_is_refused(tmp_path: Path, key: str) -> None:
    params = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    train = table(["home"])
    other = {"id": pl.lit("q/2"), "question": pl.lit("Where is Bob?")}
    apart = train.with_columns(**other)
    third = train.with_columns(id=pl.lit("q/3"), question=pl.lit("Where?"))
    sources = files(tmp_path, train=train, validation=third, test=apart)
    assert set(build_files(*sources, tmp_path / "sft", params, spec())) == {
        *("train", "validation", "test")
    }
    other.pop({"id": "id", "prompt": "question"}[key])
    sources = files(tmp_path, test=train.with_columns(**other))
    with pytest.raises(TracekdError, match=rf"test and train: 1 questions stand in both, .*{key}"):
        build_files(*sources, tmp_path / "sft", params, spec())


def test_steps_of_other_questions_are_refused(tmp_path: Path) -> None:
    params = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    rows = {name: table(["home"]).with_columns(id=pl.lit(name)) for name in SPLITS}
    prepared, _ = files(tmp_path, **rows)
    rows["validation"] = rows["validation"].with_columns(id=pl.lit("another"))
    _, decomposed = files(tmp_path / "later", **rows)
    with pytest.raises(TracekdError, match=r"later.*validation.* not those of .*run decompose"):
        build_files(prepared, decomposed, tmp_path / "sft", params, spec())


@pytest.mark.parametrize("mode", ["correct", "shuffled", "mixed"])
def test_files_in_parts_hold_what_the_whole_table_gives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    params = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
    params = params.model_copy(update={"trace_mode": mode})
    rows = pl.concat(
        [
            table(["home"]).with_columns(
                id=pl.lit(f"q/{number}"),
                question=pl.lit(f"Where is {number}?"),
                context=pl.lit([f" Fact\t{number % 3}.", "Another  one."]),
            )
            for number in range(14)
        ]
    )
    monkeypatch.setattr("tracekd.tables.ROW_GROUP", 3)
    sources = files(tmp_path, train=rows[:8], validation=rows[8:12], test=rows[12:])
    build_files(*sources, tmp_path / "sft", params, spec())
    whole = build(
        prompted(rows[:8], params.prompt),
        trace_mode=mode,
        seed=params.seed,
        corruption=params.corruption,
        classes=("one-fact",),
        spec=spec(),
    )
    assert read(tmp_path / "sft" / "train.parquet", SFT).equals(whole)
