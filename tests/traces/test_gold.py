from collections import Counter
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import tables

from tracekd.config import DatasetSpec
from tracekd.datasets.readers import cotemp
from tracekd.errors import TracekdError
from tracekd.records import DECOMPOSED, QUESTIONS, check
from tracekd.traces.gold import LEAKS, decompose, manifest, rule_of, with_leaks
from tracekd.traces.rules import OUTSIDE_PERIOD, PART_OF_A_NAME, RULES, doubts

JOBS = [
    "Ann Lee works for Acme in 2001.",
    "Ann Lee holds the position of mayor of Bath, Ohio from 2002 to May, 2004.",
    "Ann Lee works for Orlo Mill from March, 2003 to 2009.",
    "Ann Lee holds the position of mayor of Bath from 1990 to 1991.",
    "Bo Kay works for Orlo Mill in 1999.",
    "Ann Lee works for Orlo Mill from 1995 to 1996.",
]


def table(*rows: dict[str, Any]) -> pl.DataFrame:
    return pl.DataFrame(list(rows), schema=QUESTIONS)


def question(
    context: list[str], answers: list[str], text: str = "q", gold: Any = None, key: str = "x/1"
) -> dict[str, Any]:
    asked = {"question": text, "context": context, "answers": answers, "gold_facts": gold}
    return tables.question(key, question_class="c", **asked)


def facts(rule: str, *args: Any, **kwargs: Any) -> list[int]:
    found: list[int] = decompose(table(question(*args, **kwargs)), rule, "all")["gold_facts"][0]
    return list(found)


def test_annotated_keeps_the_upstream_order_and_counts_equal_facts_once() -> None:
    context = ["Mary moved.", "John moved.", "Mary moved.", "Bo moved."]
    assert facts("annotated", context, ["a"], gold=[3, 2, 1, 0]) == [3, 0, 1]


def test_annotated_needs_marked_facts() -> None:
    with pytest.raises(TracekdError, match="x/1: the dataset marks no facts"):
        facts("annotated", ["Mary moved."], ["a"])


@pytest.mark.parametrize(
    ("answers", "expected"), [(["NKT"], [0, 2]), (["Acme", "C owns"], [1, 2]), (["nkt"], [])]
)
def test_answer_string_finds_every_fact_with_an_answer(
    answers: list[str], expected: list[int]
) -> None:
    context = ["A works for NKT.", "B works for Acme.", "C owns NKT.", "A works for NKT."]
    assert facts("answer_string", context, answers) == expected


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
    assert facts("word_overlap", passages, answers) == expected


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
        # A part of a name is no answer.
        ("While Ann Lee was working for Orlo Mill, which?", ["mayor of Bath"], [2, 5]),
    ],
)
def test_interval_algebra_quotes_the_event_and_the_answers_that_share_a_day_with_it(
    text: str, answers: list[str], expected: list[int]
) -> None:
    assert facts("interval_algebra", JOBS, answers, text=text) == expected


@pytest.mark.parametrize(
    ("answers", "text", "expected"),
    [
        # Facts 2 and 5 name Orlo Mill, the last of them before the event.
        (["Orlo Mill"], "mayor of Bath, Ohio", {OUTSIDE_PERIOD: 1}),
        # "mayor" is a part of "mayor of Bath" and of the event's own name.
        (["Acme", "mayor"], "mayor of Bath, Ohio", {OUTSIDE_PERIOD: 1, PART_OF_A_NAME: 1}),
        (["mayor of Bath, Ohio"], "mayor of Bath, Ohio", {}),
        (["Bo Kay"], "an unknown position", {}),
    ],
)
def test_doubts_about_facts_found_by_their_words_are_counted(
    answers: list[str], text: str, expected: dict[str, int]
) -> None:
    asked = f"While Ann Lee was holding the position of {text}, which employer did she work for?"
    made = decompose(table(question(JOBS, answers, asked)), "answer_string", "all")
    found = manifest({"train": made}, "x", "answer_string")["splits"]["train"]
    assert found["doubts"] == found["classes"]["c"]["doubts"] == expected


def test_doubts_about_real_cotemp(shared: Path) -> None:
    questions = pl.concat(cotemp.read(shared / "datasets/cotemp", {}).splits.values())
    found = Counter(doubt for row in questions.to_dicts() for doubt in doubts(row))
    # Of 3,283 questions 3.0 % and 2.9 %.
    assert found == {OUTSIDE_PERIOD: 99, PART_OF_A_NAME: 95}


@pytest.mark.parametrize(
    ("marked", "answers", "which", "expected"),
    [
        (["The den is north of it."], ["no"], "all", False),
        (["No, it is not."], ["no"], "all", True),
        (["Milk.", "An apple!"], ["apple", "milk"], "all", True),
        (["Milk."], ["apple", "milk"], "all", False),
        (["Milk."], ["apple", "milk"], "any", True),
        ([], ["milk"], "all", False),
    ],
)
def test_leakage_is_whether_the_gold_facts_state_the_answer_in_whole_words(
    marked: list[str], answers: list[str], which: Any, expected: bool
) -> None:
    row = question([*marked, "Apple, milk, no."], answers, gold=list(range(len(marked))))
    assert decompose(table(row), "annotated", which)["answer_in_facts"].to_list() == [expected]


def test_each_question_gets_its_own_facts() -> None:
    rows = [question(["a", "b", "c"], [answer], key=answer) for answer in "cab"]
    made = decompose(table(*rows), "answer_string", "all")
    assert made.select("id", "gold_facts").rows() == [("c", [2]), ("a", [0]), ("b", [1])]


@pytest.mark.parametrize("rule", RULES)
def test_an_empty_table_decomposes_to_an_empty_table(rule: str) -> None:
    assert check(decompose(table(), rule, "all"), DECOMPOSED, rule).is_empty()


def test_an_unknown_rule_is_reported_with_the_known_ones() -> None:
    def spec(rule: str) -> DatasetSpec:
        return DatasetSpec(name="marco", reader="marco", facts={"paper": rule})

    assert rule_of(spec("word_overlap"), "paper") == "word_overlap"
    with pytest.raises(TracekdError, match=r"marco: facts: full: unknown rule 'none'; Known: ann"):
        rule_of(spec("word_overlap"), "full")
    with pytest.raises(TracekdError, match="unknown rule 'anotated'; did you mean annotated"):
        rule_of(spec("anotated"), "paper")


def test_the_manifest_counts_questions_without_gold_facts_and_leakage_by_class() -> None:
    rows = [
        question(["NKT is.", "x"], ["NKT"], key="x/1"),
        question(["y"], ["NKT"], key="x/2") | {"question_class": "d"},
    ]
    made = decompose(table(*rows), "answer_string", "all")
    one = {"questions": 1, "without_gold_fact": 0, "mean_gold_facts": 1.0, "answer_in_facts": 1.0}
    none = one | {"without_gold_fact": 1, "mean_gold_facts": 0.0, "answer_in_facts": 0.0}
    assert manifest({"train": made}, "x", "annotated") == {
        "dataset": "x",
        "rule": "annotated",
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


def test_what_training_gives_away_by_hand() -> None:
    train = table(
        question(["Ann  left.", "Bo ate.", "Cy sat."], ["x", "y"], gold=[0], key="x/1"),
        question(["Bo ate.", "Di ran."], ["z"], gold=[0, 1], key="x/2"),
    )
    test = table(
        # Both facts are gold, of two training questions.
        question(["Ann left.", "Di ran."], ["y", "x"], gold=[0, 1], key="t/1"),
        # "Cy sat." is only in a context; "Ed hid." is in none.
        question(["Cy sat.", "Ann left."], ["x"], gold=[0, 1], key="t/2"),
        question(["Bo ate.", "Ed hid."], ["z"], gold=[0, 1], key="t/3"),
        question(["Bo ate."], ["w"], gold=[], key="t/4"),
    )
    made = {"train": decompose(train, "annotated", "all")}
    made["test"] = with_leaks(decompose(test, "annotated", "all"), made["train"])
    assert check(made["test"], DECOMPOSED, "x")["leaks"].to_list() == [
        ["facts_in_contexts", "facts_taught", "answers_taught"],
        ["facts_in_contexts"],
        ["answers_taught"],
        [],
    ]
    assert made["train"]["leaks"].to_list() == [None, None]
    found = manifest(made, "x", "annotated")["splits"]
    counts = {"facts_in_contexts": 2, "facts_taught": 1, "answers_taught": 2}
    assert found["test"]["leaks"] == found["test"]["classes"]["c"]["leaks"] == counts
    assert "leaks" not in found["train"]


def test_half_of_real_cotemp_is_given_away(shared: Path) -> None:
    splits = cotemp.read(shared / "datasets/cotemp", {}).splits
    made = {name: decompose(rows, "answer_string", "all") for name, rows in splits.items()}
    test = with_leaks(made["test"], made["train"])
    counts = [test["leaks"].list.contains(kind).sum() for kind in LEAKS]
    assert (test.height, counts) == (657, [359, 230, 342])
