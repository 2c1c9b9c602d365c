import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from tables import BABI, completion, prediction, predictions, question, questions

from tracekd.config import DatasetSpec
from tracekd.records import DECOMPOSED
from tracekd.scoring import quality, table
from tracekd.scoring.quality import TextJudge, contradicts
from tracekd.teacher.replies import final_answer
from tracekd.traces.taught import TEACHER

NAMES = {"home", "bed", "left bank", "bank"}


@pytest.mark.parametrize(
    ("text", "own", "expected"),
    [
        ("She went to bed. So she is at home.", {"home"}, False),
        ("She is at home. No: at last she is in bed.", {"home"}, True),
        ("She is at home. She is not in bed.", {"home"}, False),
        ("It is the left bank.", {"left bank"}, False),  # and not "bank"
        ("Home and bed.\nShe is only at home.", {"home", "bed"}, True),
        ("Home and bed.\nAt the end, home.", {"home", "bed"}, False),
        ("Nothing is known.", {"home"}, False),
        ("So home. That is what the garden is about.", {"home"}, False),  # asked about
    ],
)
def test_a_text_contradicts_its_answer_if_its_conclusion_is_another(
    text: str, own: set[str], expected: bool
) -> None:
    found = contradicts(text, own, "Where was Mary before the garden?", {*NAMES, "garden"})
    assert found is expected


def test_each_measure_of_a_hand_made_text() -> None:
    asked = question("q", question_class="two-facts", gold_facts=[0, 1], answers=["home"])
    judge = TextJudge(
        [questions(asked, question("r", question_class="two-facts", answers=["bed"]))], BABI
    )
    text = "This is about two-FACTS: Mary went home! Then John really left. So: home"
    assert judge.judge(asked, text, "home") == {
        "states_answer": True,
        "keeps_answer": True,
        "contradicts": False,
        "facts_exact": 0.5,
        "facts_lenient": 0.5,
        "distractors": 0,
        "class_named": True,
        "words": 13,
    }
    found = judge.judge(asked, "Mary slept.", "bed")
    assert (found["states_answer"], found["keeps_answer"]) == (False, False)
    assert found["distractors"] == 1
    assert judge.judge(asked, "Mary slept.", "unknown")["contradicts"] is None


def test_a_gold_fact_that_the_context_repeats_stays_gold() -> None:
    asked = question("q", context=["Mary went home.", "John left.", "Mary went home."])
    found = TextJudge([], BABI).judge(asked, "Mary went home. So home.", "home")
    assert (found["facts_exact"], found["facts_lenient"], found["distractors"]) == (1, 1, 0)


def test_students_traces_are_judged_and_associated_with_their_answers() -> None:
    asked = questions(*(question(str(n), question_class=f"c{n}") for n in range(4)))
    answered = predictions(
        prediction("0", completion("c0", ["Mary went home."], "home")),
        prediction("1", completion("c1", ["John left."], "bed")),
        prediction("2", "<think>\nSo home.\n</think>\n<answer>home</answer>"),
        prediction("3", "<answer>home</answer>"),
    )
    scores = table.score(asked, answered, BABI, ())
    judge = TextJudge([asked], BABI)
    found, undefined = quality.report(asked, answered, scores, judge)
    section = found["trace_quality"]
    assert section["texts"] == 3
    assert section["states_answer"] == pytest.approx(2 / 3, rel=1e-5)
    assert section["link"]["states_answer"]["right_right"] == 2
    assert section["link"]["states_answer"]["p_answer_if_wrong"] == 0
    assert set(undefined.values())
    bare = predictions(*(prediction(str(n), "<answer>home</answer>") for n in range(4)))
    assert quality.report(asked, bare, scores, judge) == ({}, {})


def test_free_text_counts_for_leakage_where_it_is_taught() -> None:
    asked, text = questions(question("q")), "<think>\nSo home.\n</think>\n<answer>home</answer>"
    answered = predictions(prediction("q", text))
    free = table.score(asked, answered, BABI, (), free_text=True)
    assert free.select("parse_status", "answer_in_trace").row(0) == ("strict", True)
    steps = table.score(asked, answered, BABI, ())
    assert steps.select("parse_status", "answer_in_trace").row(0) == ("lenient", None)


def test_what_keeping_traces_selects_is_reported() -> None:
    """A teacher that is right on easy questions keeps those that the student gets right too."""
    asked = questions(
        *(question(str(n), question_class="hard" if n > 2 else "easy") for n in range(5))
    )
    texts = ["<answer>home</answer>"] * 3 + ["<answer>bed</answer>"] * 2
    answered = predictions(*(prediction(str(n), text) for n, text in enumerate(texts)))
    scores = table.score(asked, answered, BABI, ())
    counts = {"finish_reason": "stop", "prompt_tokens": 1, "completion_tokens": 1}
    row = dict.fromkeys(TEACHER) | counts | {"kind": "trace", "sample": 0, "status": "ok"}
    row |= {"text": "t", "answer": "a"}
    traces = pl.DataFrame(
        [row | {"id": str(n), "kept": n in (0, 1)} for n in range(5)], schema=TEACHER
    )
    found = quality.selection(scores, traces)["selection"]
    easy = {"n": 3, "with_kept_trace": 2, "accuracy_with_trace": 1, "accuracy_without_trace": 1}
    hard = {"n": 2, "with_kept_trace": 0, "accuracy_with_trace": None, "accuracy_without_trace": 0}
    assert found.pop("by_class") == {"easy": easy, "hard": hard}
    assert found.pop("accuracy_without_trace") == pytest.approx(1 / 3)
    assert found == {"n": 5, "with_kept_trace": 2, "accuracy_with_trace": 1}
    assert quality.selection(scores, traces.clear()) == {}


COTEMP = DatasetSpec(name="cotemp", reader="cotemp", answer_metric="cotemp")
#: Facts of the two questions that the data at hand lacks, as their traces tell them.
LOST = {
    "Gilbert Collard": [
        "Gilbert Collard holds the position of member of the European Parliament in July 2, 2019.",
        "Gilbert Collard holds the position of general secretary from November 30, 2018 to 2022.",
        "Gilbert Collard is a member of the National Rally from 2017 to 2022.",
        "Gilbert Collard is a member of the Reconquête in 2022.",
        "Gilbert Collard holds the position of Anglican Bishop in 2001.",
    ],
    "Stine Bosse": [
        "Stine Bosse works for TDC from September 27, 2004 to February 28, 2006.",
        "Stine Bosse works for Tryg from September 30, 2002 to February 1, 2011.",
        "Stine Bosse works for Alka from September 30, 2002 to February 1, 2011.",
        "Stine Bosse works for IBM Almaden in October, 2008.",
    ],
}


def test_of_ten_published_traces_the_two_contradictions_are_flagged(shared: Path) -> None:
    path = shared / "teacher/r1_cotemp_sample.jsonl"
    if not path.is_file():
        pytest.skip(f"no traces in {path}")
    facts: dict[str, list[str]] = {}
    for file in sorted((shared / "datasets/cotemp").glob("*.json")):
        for line in file.read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            facts[record["question"]] = record["facts"]
    judge, flagged, texts = TextJudge([pl.DataFrame(schema=DECOMPOSED)], COTEMP), set(), 0
    for line in path.read_text(encoding="utf-8").splitlines():
        record: dict[str, Any] = json.loads(line)
        lost = next((known for name, known in LOST.items() if name in record["question"]), None)
        context = lost or facts[record["question"]]
        gold = [n for n, fact in enumerate(context) if any(a in fact for a in record["gold"])]
        asked = question(
            "q",
            question=record["question"],
            context=context,
            answers=record["gold"],
            question_class=record["class"],
            subtype=record["triple_element"],
            gold_facts=gold,
        )
        for kind in ("r1_trace", "r1_trace_summary", "r1_exp_ans"):
            if record[kind]:
                found = judge.judge(asked, record[kind], final_answer(record["prediction"]))
                texts += 1
                assert found["states_answer"]
                if found["contradicts"]:
                    flagged.add((record["class"], record["index"], kind))
    assert texts == 21
    assert flagged == {("equal", 2, "r1_trace_summary"), ("mix", 5, "r1_exp_ans")}
