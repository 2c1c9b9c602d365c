from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd import tables
from tracekd.datasets import Wanted, table
from tracekd.datasets.readers import babi, cotemp, marco
from tracekd.errors import TracekdError
from tracekd.records import DECOMPOSED, QUESTIONS, STEPS, check
from tracekd.traces.gold import decompose, decompose_files, manifest, rule_of

ALL = Wanted(data_seed=0, train=None, test=None)
TENURE = [
    "Ann Lee works for Acme in 2001.",
    "Ann Lee holds the position of mayor of Bath, Ohio from 2002 to May, 2004.",
    "Ann Lee works for Orlo Mill from March, 2003 to 2009.",
    "Ann Lee holds the position of mayor of Bath from 1990 to 1991.",
    "Bo Kay works for Orlo Mill in 1999.",
    "Ann Lee works for Orlo Mill from 1995 to 1996.",
]


def question(
    context: list[str],
    answers: list[str],
    text: str = "q",
    gold: list[int] | None = None,
    key: str = "x/train/1",
) -> dict[str, Any]:
    return {
        "id": key,
        "question": text,
        "context": context,
        "answers": answers,
        "question_class": "c",
        "subtype": None,
        "gold_facts": gold,
        "source": "f:1",
    }


def steps(rule: str, *args: Any, **kwargs: Any) -> list[int]:
    made = decompose(table([question(*args, **kwargs)]), rule, "all")
    found: list[int] = made["gold_facts"].to_list()[0]
    return found


def test_annotated_keeps_the_upstream_order_and_merges_facts_that_read_the_same() -> None:
    context = ["Mary moved.", "John moved.", "Mary moved.", "Bo moved."]
    assert steps("annotated", context, ["a"], gold=[3, 2, 1, 0]) == [3, 0, 1]


def test_annotated_needs_marks() -> None:
    with pytest.raises(TracekdError, match="x/train/1: the data set marks no supporting facts"):
        steps("annotated", ["Mary moved."], ["a"])


def test_answer_string_finds_every_fact_with_an_answer() -> None:
    context = ["A works for NKT.", "B works for Acme.", "C owns NKT.", "A works for NKT."]
    assert steps("answer_string", context, ["NKT"]) == [0, 2]
    assert steps("answer_string", context, ["Acme", "C owns"]) == [1, 2]
    assert steps("answer_string", context, ["nkt"]) == []


@pytest.mark.parametrize(
    ("passages", "answers", "expected"),
    [
        (["the cost", "The COST of sales", "cost of sales"], ["Cost of sales."], [1]),
        (["of of of of", "sales"], ["cost of sales"], [0]),
        (["a firm", "$3,000 per meter"], ["firm, but", "3,000 meter"], [1]),
        (["recost", "cost"], ["cost"], [1]),
        (["Où “l’été”", "x"], ["l’ÉTÉ"], [0]),
        (["a firm", "a shop"], ["Yes"], []),
        (["no answer present", "a shop"], ["No Answer Present."], []),
        (["a firm"], ["?!"], []),
    ],
)
def test_word_overlap_finds_the_first_passage_with_most_words_of_an_answer(
    passages: list[str], answers: list[str], expected: list[int]
) -> None:
    assert steps("word_overlap", passages, answers) == expected


WORDS = st.lists(st.sampled_from(["cost", "of", "sales", "été", "x1"]), max_size=6).map(" ".join)


@given(st.lists(WORDS, min_size=1, max_size=5), st.lists(WORDS, min_size=1, max_size=2))
def test_word_overlap_agrees_with_sets_of_words(passages: list[str], answers: list[str]) -> None:
    shared = [
        max(len(set(passage.split()) & set(answer.split())) for answer in answers)
        for passage in passages
    ]
    expected = [shared.index(max(shared))] if max(shared) else []
    assert steps("word_overlap", passages, answers) == expected


@pytest.mark.parametrize(
    ("text", "answers", "expected"),
    [
        (
            "While Ann Lee was holding the position of mayor of Bath, Ohio, which employer did Ann"
            " Lee work for at the same time?",
            ["Orlo Mill"],
            [1, 2],
        ),
        (
            "While Ann Lee was working for Orlo Mill, which position did Ann Lee hold then?",
            ["mayor of Bath, Ohio"],
            [2, 1],
        ),
        ("While Bo Kay attended Acme, who did?", ["Acme"], []),
    ],
)
def test_interval_algebra_quotes_the_event_and_the_answers_that_share_a_day_with_it(
    text: str, answers: list[str], expected: list[int]
) -> None:
    assert steps("interval_algebra", TENURE, answers, text=text) == expected


@pytest.mark.parametrize(
    ("facts", "gold", "answers", "expected"),
    [
        (["The den is north of it."], ["no"], "all", False),
        (["No, it is not."], ["no"], "all", True),
        (["Milk.", "An apple!"], ["apple", "milk"], "all", True),
        (["Milk."], ["apple", "milk"], "all", False),
        (["Milk."], ["apple", "milk"], "any", True),
        ([], ["milk"], "all", False),
    ],
)
def test_leakage_is_whether_the_facts_state_the_answer_in_whole_words(
    facts: list[str], gold: list[str], answers: Any, expected: bool
) -> None:
    marked = list(range(len(facts)))
    row = question([*facts, "Apple, milk and no more."], gold, gold=marked)
    assert decompose(table([row]), "annotated", answers)["answer_in_facts"].to_list() == [expected]


def test_a_rule_that_is_not_there_is_named_with_those_that_are() -> None:
    facts = {"paper": "word_overlap"}
    assert rule_of("marco", facts, "paper") == "word_overlap"
    with pytest.raises(TracekdError, match=r"marco: facts has no rule for it; Known: paper"):
        rule_of("marco", facts, "full")
    with pytest.raises(TracekdError, match="unknown rule 'anotated'; did you mean annotated"):
        rule_of("marco", {"paper": "anotated"}, "paper")


def test_the_manifest_counts_questions_without_gold_facts_and_leakage_by_class() -> None:
    rows = [
        question(["NKT is.", "x"], ["NKT"], key="x/1"),
        question(["y"], ["NKT"], key="x/2") | {"question_class": "d"},
    ]
    made = decompose(table(rows), "answer_string", "all")
    one = {"questions": 1, "without_gold_fact": 0, "mean_gold_facts": 1.0, "answer_in_facts": 1.0}
    none = one | {"without_gold_fact": 1, "mean_gold_facts": 0.0, "answer_in_facts": 0.0}
    assert manifest({"train": made}, "x", "answer_string") == {
        "dataset": "x",
        "rule": "answer_string",
        "splits": {
            "train": {
                "questions": 2,
                "without_gold_fact": 1,
                "mean_gold_facts": 0.5,
                "answer_in_facts": 0.5,
                "classes": {"c": one, "d": none},
            }
        },
    }


def written(folder: Path) -> dict[str, pl.DataFrame]:
    """Questions that each have their answer in another fact, written for every split."""
    splits = {}
    for split, size in {"train": 7, "validation": 1, "test": 4}.items():
        asked = table(
            [
                question([f"{place}.", *"abc"], ["abc"[place % 3]], key=f"x/{split}/{place}")
                for place in range(size)
            ]
        )
        tables.write(asked, folder / f"{split}.parquet", QUESTIONS)
        splits[split] = decompose(asked, "answer_string", "all")
    return splits


@pytest.mark.parametrize(
    ("constant", "value"),
    [("tables.ROW_GROUP", 3), ("traces.decompose._LARGE", 0)],
    ids=["in parts", "in other processes"],
)
def test_files_hold_what_whole_splits_decompose_to(
    constant: str, value: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"tracekd.{constant}", value)
    expected = written(tmp_path)
    counted = decompose_files(tmp_path, tmp_path / "out", "answer_string", "all")
    for split, made in expected.items():
        schema = DECOMPOSED if split == "test" else STEPS
        found = tables.read(tmp_path / "out" / f"{split}.parquet", schema)
        assert found.equals(made.select(list(schema)))
        assert counted[split].equals(made.select(counted[split].columns))


def test_an_empty_table_decomposes_to_an_empty_table() -> None:
    for rule in ("annotated", "answer_string", "word_overlap", "interval_algebra"):
        assert check(decompose(table([]), rule, "all"), DECOMPOSED, rule).is_empty()


def test_rules_on_the_real_data(shared: Path) -> None:
    data = shared / "datasets"
    stories = babi.read(data / "babi", {}, ALL).splits["train"]
    assert decompose(stories, "annotated", "all")["gold_facts"].list.len().min() == 1
    dated = pl.concat(cotemp.read(data / "cotemp", {}, ALL).splits.values())
    paper = decompose(dated, "answer_string", "all")
    assert paper["answer_in_facts"].all()
    full = decompose(dated, "interval_algebra", "all")
    events = full["gold_facts"].list.len() - full["answers"].list.len()
    # One event and one fact an answer, but for events stated twice and answers that match twice.
    assert (events == 1).mean() > 0.98
    assert full["answer_in_facts"].all()
    asked = pl.concat(marco.read(data / "marco", {}, ALL).splits.values())
    found = decompose(asked, "word_overlap", "any")
    unanswerable = found["answers"].list.contains("No Answer Present.")
    assert found.filter(unanswerable)["gold_facts"].list.len().max() == 0
