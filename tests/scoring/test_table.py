"""From predictions to the table of scores."""

from pathlib import Path

import pytest
from tables import completion, prediction, predictions, question, questions

from tracekd import records, tables
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.attempt import answer_in_facts
from tracekd.scoring.table import SAID, score, score_file

BOTH = frozenset({"class", "facts"})


def test_a_right_trace_and_a_right_answer(babi: DatasetSpec) -> None:
    text = completion("where", ["Mary went home."], "home")
    table = score(questions(question("a")), predictions(prediction("a", text)), babi, BOTH)
    assert records.check(table, records.SCORES, "scores", extra=True).height == 1
    row = table.row(0, named=True)
    assert row["parse_status"] == "strict"
    assert row["answer"] == "home"
    assert row["answer_correct"] and row["class_correct"] and row["trace_correct"]
    assert row["facts_predicted"] == [0]
    assert row["answer_in_trace"] is True
    assert row["f1"] == 1
    assert row["trace_tokens"] == pytest.approx(20 * text.index("<answer>") / len(text))


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("<think>ab</think>\n<ANSWER>x", 18 / 27),
        ("\u0130<answer>x", 2 / 10),  # two characters in lower case
        ("<think>ab</THINK>x", 17 / 18),
        ("<think>ab", 1),
        ("<an\u017fwer>ab", 0),  # no tag: a long s is no s
        ("", 0),
    ],
)
def test_tokens_of_the_trace_are_those_in_front_of_the_answer(
    babi: DatasetSpec, text: str, tokens: float
) -> None:
    said = predictions(prediction("a", text, completion_tokens=1))
    assert score(questions(question("a")), said, babi, BOTH)["trace_tokens"].to_list() == [tokens]


def test_scores_follow_the_order_of_the_questions(babi: DatasetSpec) -> None:
    asked = questions(question("b"), question("a", answers=["bed"]))
    said = predictions(prediction("a", "bed"), prediction("b", "bed"))
    table = score(asked, said, babi, frozenset())
    assert table.select("id", "answer_correct", "trace_correct").rows() == [
        ("b", False, None),
        ("a", True, None),
    ]


def test_answer_and_trace_are_compared_with_their_own_question_wherever_it_stands(
    babi: DatasetSpec,
) -> None:
    asked = questions(
        question("b"),
        question("a", answers=["bed"], context=["Mary went to bed."], question_class="sleep"),
    )
    said = predictions(
        prediction("a", completion("sleep", ["Mary went to bed."], "bed")),
        prediction("b", completion("where", ["Mary went home."], "home")),
    )
    table = score(asked, said, babi, BOTH)
    assert table.select("id", "answer_correct", "trace_correct").rows() == [
        ("b", True, True),
        ("a", True, True),
    ]


def test_a_text_without_an_answer_is_wrong_in_answer_and_trace(babi: DatasetSpec) -> None:
    text = completion("where", ["Mary went home."], "").partition("<answer>")[0]
    cut = prediction("a", text, finish_reason="length")
    row = score(questions(question("a")), predictions(cut), babi, BOTH).row(0, named=True)
    assert (row["parse_status"], row["answer"]) == ("failed", None)
    assert (row["answer_correct"], row["trace_correct"]) == (False, False)
    assert (row["class_correct"], row["facts_exact"]) == (True, True)


def test_predictions_must_cover_every_question_once(babi: DatasetSpec) -> None:
    asked = questions(*(question(key) for key in "abcdefgh"))
    said = predictions(prediction("a", "x"), prediction("z", "x"), prediction("a", "y"))
    with pytest.raises(TracekdError) as error:
        score(asked, said, babi, BOTH)
    message = str(error.value)
    assert "7 questions without a prediction: b, c, d, e, f, … (2 more)" in message
    assert "1 predictions of unknown questions: z" in message
    assert "1 questions predicted more than once: a" in message
    assert "dvc repro" in message


def test_leakage_wants_all_items_or_any_alternative_as_whole_words() -> None:
    facts = ["Mary has the Apple.", "She has milk"]
    assert answer_in_facts(facts, ["apple", "milk"], "all") is True
    assert answer_in_facts(facts, ["apple", "bread"], "all") is False
    assert answer_in_facts(facts, ["bread", "milk"], "any") is True
    assert answer_in_facts(facts, ["app"], "any") is False
    assert answer_in_facts(None, ["apple"], "all") is None


def test_a_file_is_scored_in_parts_as_a_table_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, babi: DatasetSpec
) -> None:
    monkeypatch.setattr(tables, "ROW_GROUP", 3)
    keys = [f"q{number}" for number in range(7)]
    asked = questions(*(question(key, context=["Mary\twent  home.", "John left."]) for key in keys))
    said = predictions(
        *(prediction(key, completion("where", ["Mary went home."], key)) for key in keys[::-1])
    )
    path, answers, target = (tmp_path / f"{name}.parquet" for name in ("test", "said", "scores"))
    tables.write(asked, path, records.DECOMPOSED)
    for order in (said, said[::-1]):
        tables.write(order, answers, records.PREDICTIONS)
        scores = score_file(path, answers, target, babi, BOTH)
        written = tables.read(target, records.SCORES, extra=True)
        assert written.equals(score(asked, said, babi, BOTH))
        assert scores.equals(written.drop(SAID))
    assert scores["facts_exact"].all()
    assert scores["facts_lenient"].sum() == 0
    tables.write(said[1:], answers, records.PREDICTIONS)
    with pytest.raises(TracekdError, match="1 questions without a prediction: q6"):
        score_file(path, answers, target, babi, BOTH)


def test_other_processes_score_as_this_one_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, babi: DatasetSpec
) -> None:
    asked = questions(question("q", context=["Mary went home.", "John left."]))
    said = predictions(prediction("q", completion("where", ["Mary went home."], "home")))
    path, answers = tmp_path / "test.parquet", tmp_path / "said.parquet"
    tables.write(asked, path, records.DECOMPOSED)
    tables.write(said, answers, records.PREDICTIONS)
    monkeypatch.setattr("tracekd.scoring.table._LARGE", 0)
    score_file(path, answers, tmp_path / "scores.parquet", babi, BOTH)
    written = tables.read(tmp_path / "scores.parquet", records.SCORES, extra=True)
    assert written.equals(score(asked, said, babi, BOTH))


def test_a_trace_that_quotes_no_fact_leaks_nothing(babi: DatasetSpec) -> None:
    said = predictions(prediction("a", completion("where", [], "home")))
    table = score(questions(question("a")), said, babi, BOTH)
    assert table["answer_in_trace"].to_list() == [None]
