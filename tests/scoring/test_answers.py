"""Each official metric on answers scored by hand."""

import random
from typing import Any

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tracekd.errors import TracekdError
from tracekd.scoring.answers import METRICS, exact_match, judge_answers, metric
from tracekd.scoring.answers import marco as marco_metric
from tracekd.scoring.answers.cotemp import released_answer
from tracekd.scoring.attempt import AnswerMetric, Attempt, Verdict

FACTS = [
    "Ann Lee works for Yale University from 1990 to 1995.",
    "Ann Lee worked for Yale Press in 1993.",
    "Bo Kim works for Yale University in May, 1991.",
    "Ann Lee is a member of the Green Party from 1980 to 1999.",
]
ASKED = "While Ann Lee was working for Yale University, where did Ann Lee work?"


def babi(text: str, *answers: str) -> Verdict:
    items = tuple(text.split(";"))
    return METRICS["exact_match"].judge(Attempt("?", [], answers, None, text, items))


def cotemp(text: str, *answers: str, subtype: str = "S2_R1_O1", question: str = ASKED) -> Verdict:
    return METRICS["cotemp"].judge(Attempt(question, FACTS, answers, subtype, text, (text,)))


def marco(text: str, *answers: str) -> Verdict:
    return METRICS["marco"].judge(Attempt("?", [], answers, None, text, (text,)))


def test_an_unknown_metric_is_told_with_the_nearest_names() -> None:
    with pytest.raises(TracekdError, match=r"unknown metric 'cotmp'; did you mean cotemp\?"):
        metric("cotmp")


@pytest.mark.parametrize(
    "text", ["milk; apple", "apple; milk", "Milk, Apple.", "['apple', 'milk']", "apple,;milk;"]
)
def test_exact_match_ignores_order_case_and_punctuation(text: str) -> None:
    assert babi(text, "apple", "milk").correct


@pytest.mark.parametrize("text", ["apple", "apple; milk; bread", "apple milk", "", "nothing"])
def test_exact_match_wants_every_item_and_no_other(text: str) -> None:
    assert not babi(text, "apple", "milk").correct


@pytest.mark.parametrize(
    ("text", "right"), [("n,n", True), ("n; n", True), ("n", False), ("n,n,n", False)]
)
def test_exact_match_counts_how_often_an_item_stands_there(text: str, right: bool) -> None:
    assert babi(text, "n", "n").correct is right


def test_exact_match_tells_answers_of_punctuation_alone_apart() -> None:
    assert babi("-", "-").correct
    assert not babi("?", "-").correct
    assert not babi("", "-").correct


def test_exact_match_reports_overlap_of_the_items() -> None:
    parts = babi("apple; bread; milk", "apple", "milk").parts
    assert parts == {"precision": 2 / 3, "recall": 1.0, "f1": 0.8}


def test_exact_match_keeps_a_gold_answer_that_has_a_comma() -> None:
    assert babi("Santa Cruz, California", "Santa Cruz, California").correct


def test_cotemp_finds_candidates_and_gold_in_running_text() -> None:
    assert cotemp("It was Yale Press, I think.", "Yale Press").correct
    assert cotemp("['Yale Press', 'Green Party']", "Green Party", "Yale Press").correct


def test_cotemp_counts_a_wrong_candidate_against_the_answer() -> None:
    verdict = cotemp("Yale Press and Green Party", "Yale Press")
    assert not verdict.correct
    assert verdict.parts == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "average": 1 / 3}


def test_cotemp_skips_the_first_candidate_that_stands_in_the_question() -> None:
    assert cotemp("At Yale University she worked for Yale Press", "Yale Press").correct


def test_cotemp_takes_the_longest_candidate_out_before_a_shorter_one_is_sought() -> None:
    question = "Where?"
    verdict = cotemp("Yale Press Club", "Yale Press Club", "Yale", question=question)
    assert verdict.parts["recall"] == 0.5
    assert not verdict.correct


def test_cotemp_seeks_subjects_unless_the_triple_element_is_s2_r1_o1() -> None:
    text, question = "Bo Kim of Yale Press", "Who?"
    assert cotemp(text, "Bo Kim", subtype="S1_R1_O2", question=question).correct
    assert cotemp(text, "Yale Press", subtype="S2_R1_O1", question=question).correct


def test_cotemp_reads_facts_in_the_past_tense() -> None:
    verdict = cotemp("Yale Press", "Yale", subtype="S2_R1_O1", question="Where?")
    assert verdict.parts["f1"] == 0


def test_cotemp_takes_the_whole_text_where_no_candidate_is_named() -> None:
    assert cotemp("['yale  press!']".replace("  ", "-"), "Yale-Press").correct
    assert not cotemp("somewhere else", "Yale Press").correct
    assert not cotemp("", "Yale Press").correct


def test_cotemp_needs_the_triple_element() -> None:
    with pytest.raises(ValueError, match="triple element"):
        METRICS["cotemp"].judge(Attempt("?", [], ["a"], None, "a", ("a",)))


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("assistant\n\n<think>x</think> <answer>['A']</answer> more", "['a']"),
        ("<answer>Assistant Professor", " professor"),
        ("I can answer the question based on this: A", "i can "),
        ("The right answer is A", "is a"),
        ("Answer: A", " a"),
        ("A", "a"),
    ],
)
def test_the_released_reading_of_an_answer(text: str, answer: str) -> None:
    assert released_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "right"),
    [("It is about 5 years.", True), ("Five", False), ("15", False), ("it's 5!", True)],
)
def test_marco_wants_a_gold_answer_in_the_text_as_whole_words(text: str, right: bool) -> None:
    assert marco(text, "5", "six").correct is right


def test_marco_rouge_l_takes_the_best_precision_and_the_best_recall_apart() -> None:
    # "a b": 2 of the 4 tokens said, 2 of 2 asked; the other reference: 3 of 4 and 3 of 6.
    precision, recall = 3 / 4, 1.0
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert marco("a b c x", "a b", "a b c d e f").parts["rouge_l"] == pytest.approx(expected)
    assert expected == pytest.approx(0.8798, abs=1e-4)


def test_marco_rouge_l_of_nothing_in_common_is_zero() -> None:
    assert marco("x y", "a b").parts["rouge_l"] == 0
    assert marco("", "a b").parts["rouge_l"] == 0


def _marco_table(*pairs: tuple[str, list[str]]) -> pl.DataFrame:
    rows = [marco(text, *answers).parts for text, answers in pairs]
    return pl.DataFrame(rows, schema=dict.fromkeys(marco_metric.PARTS, pl.Float64))


def test_marco_bleu_1_is_of_the_corpus_with_clipped_counts_and_a_brevity_penalty() -> None:
    table = _marco_table(("the the cat", ["the cat sat down"]), ("a", ["a"]))
    # 3 of 4 tokens match; 4 said where 5 were asked: exp(1 - 5 / 4) * 3 / 4.
    figures = marco_metric.figures(table, marco_metric.PARTS)
    assert figures["bleu_1"] == pytest.approx(0.5841006, abs=1e-7)


def test_marco_figures_leave_unanswerable_questions_out() -> None:
    verdict = marco("No Answer Present.", "No Answer Present.")
    assert verdict.correct
    only = _marco_table(("x", ["No Answer Present."]))
    assert marco_metric.figures(only, marco_metric.PARTS) == {"rouge_l": None, "bleu_1": None}
    both = _marco_table(("x", ["No Answer Present."]), ("a", ["a"]))
    figures = marco_metric.figures(both, marco_metric.PARTS)
    assert figures == pytest.approx({"rouge_l": 1.0, "bleu_1": 1.0})


def test_marco_judges_a_table_as_it_judges_each_row() -> None:
    draw = random.Random(0)  # noqa: S311

    def words() -> str:
        return "".join(draw.choices("aB .,\u0130\u00b2\u2019", k=draw.randrange(7)))

    def gold() -> list[str]:
        return [draw.choice([words(), words(), "No Answer Present."]) for _ in range(3)]

    rows = [(draw.choice([words(), "a", None]), gold()[draw.randrange(3) :]) for _ in range(5000)]
    verdicts = [marco(text or "", *answers) for text, answers in rows]
    schema = {"answer": pl.String, "answers": pl.List(pl.String)}
    judged = marco_metric.judge_all(pl.DataFrame(rows, schema=schema, orient="row"))
    expected = [(verdict.correct, *verdict.parts.values()) for verdict in verdicts]
    assert judged.rows() == expected


def _plain_common_subsequence(first: str, second: str) -> int:
    row = [0] * (len(first) + 1)
    for token in second:
        before = row[:]
        for index, other in enumerate(first):
            row[index + 1] = (
                before[index] + 1 if token == other else max(row[index], row[index + 1])
            )
    return row[-1]


@given(st.text("abc", max_size=12), st.text("abc", max_size=12))
def test_the_bit_parallel_subsequence_is_as_long_as_the_table_says(first: str, second: str) -> None:
    expected = _plain_common_subsequence(first, second)
    assert marco_metric.common_subsequence(first, second) == expected


def marco_columns(text: str, *answers: str) -> dict[str, Any]:
    said = pl.DataFrame({"answer": [text], "answers": [list(answers)]})
    return marco_metric.judge_all(said).row(0, named=True)


def test_to_marco_a_refusal_has_no_word_in_common_with_an_answer() -> None:
    said, gold = "No Answer Present.", "No answer is present in the tower."
    for parts in (marco(said, gold).parts, marco_columns(said, gold)):
        assert (parts["rouge_l"], parts["bleu_1_matches"], parts["bleu_1_tokens"]) == (0, 0, 0)


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("15 percent", "1.5 percent", False),
        ("1.5 percent.", "1.5 percent", True),
        ("U.S.", "us", True),
    ],
)
def test_to_marco_a_decimal_point_is_no_punctuation(text: str, gold: str, right: bool) -> None:
    assert marco(text, gold).correct is right
    assert marco_columns(text, gold)["correct"] is right


@pytest.mark.parametrize("parts", [("accuracy",), ("f1", "answer"), "share"])
def test_a_metric_whose_parts_would_hide_other_numbers_is_refused(parts: tuple[str, ...]) -> None:
    with pytest.raises(TracekdError, match=r"exact_match: parts must be .* not taken .*accuracy"):
        AnswerMetric(parts, exact_match.judge)


def test_a_question_that_cannot_be_scored_is_named() -> None:
    said = pl.DataFrame(
        {"id": ["q/7"], "question": ["?"], "context": [["A."]], "answers": [["A"]]}
        | {"subtype": [None], "answer": ["A"], "items": [["A"]]},
        schema_overrides={"subtype": pl.String},
    )
    with pytest.raises(TracekdError, match=r"q/7: the answer cannot be scored: .*triple element"):
        judge_answers(said, "cotemp")
