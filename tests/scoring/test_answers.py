"""Each official metric on answers scored by hand."""

from itertools import combinations

import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tables import question

from tracekd.config import module_names
from tracekd.errors import TracekdError
from tracekd.scoring.answers import AnswerMetric, Attempt, Verdict, exact_match, judge, metric
from tracekd.scoring.answers import marco as marco_metric
from tracekd.scoring.answers.cotemp import released_answer
from tracekd.traces.form import Reading, Trace

FACTS = [
    "Ann Lee works for Yale University from 1990 to 1995.",
    "Ann Lee worked for Yale Press in 1993.",
    "Bo Kim works for Yale University in May, 1991.",
    "Ann Lee is a member of the Green Party from 1980 to 1999.",
]
ASKED = "While Ann Lee was working for Yale University, where did Ann Lee work?"


def babi(text, *answers):
    items = tuple(text.split(";"))
    return metric("exact_match").judge(Attempt("?", [], answers, None, text, items))


def cotemp(text, *answers, subtype="S2_R1_O1", asked="Who?"):
    return metric("cotemp").judge(Attempt(asked, FACTS, answers, subtype, text, (text,)))


def marco(text, *answers):
    return metric("marco").judge(Attempt("?", [], answers, None, text, (text,)))


def test_every_module_is_a_metric_whose_verdicts_have_its_parts():
    attempt = Attempt("?", FACTS, ["a"], "S2_R1_O1", "a", ("a",))
    for name in module_names("scoring/answers"):
        assert tuple(metric(name).judge(attempt).parts) == metric(name).parts


def test_no_answer_is_never_right():
    matches_nothing = AnswerMetric((), lambda attempt: Verdict(attempt.text == "", {}))
    failed, empty = Reading("failed", Trace(), None, ()), Reading("lenient", Trace(), "", ())
    assert not judge(question("q"), failed, matches_nothing).correct
    assert judge(question("q"), empty, matches_nothing).correct


def test_a_question_that_cannot_be_scored_is_named():
    reading = Reading("lenient", Trace(), "A", ("A",))
    with pytest.raises(TracekdError, match=r"q/7: the answer cannot be scored: .*triple element"):
        judge(question("q/7"), reading, metric("cotemp"))


@pytest.mark.parametrize("parts", [("accuracy",), ("f1", "answer"), "share"])
def test_parts_with_the_names_of_other_columns_are_refused(parts):
    with pytest.raises(TracekdError, match=r"exact_match: parts must be .* not taken .*accuracy"):
        AnswerMetric(parts, exact_match.judge)


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        # Order, case, punctuation and the kind of list do not matter.
        *((text, "apple milk", True) for text in ("milk; apple", "Milk, Apple.", "apple,;milk;")),
        *((text, "apple milk", True) for text in ("['apple', 'milk']", '["milk", "apple"]')),
        # Every item is needed, and no other.
        *(
            (text, "apple milk", False)
            for text in ("apple", "apple; milk; bread", "apple milk", "")
        ),
        # Repeated items count.
        ("n,n", "n n", True),
        ("n; n", "n n", True),
        ("n", "n n", False),
        ("n,n,n", "n n", False),
        # Items of punctuation alone stay as they are.
        ("-", "-", True),
        ("?", "-", False),
        ("", "-", False),
    ],
)
def test_exact_match_by_hand(text, gold, right):
    assert babi(text, *gold.split()).correct is right


@pytest.mark.parametrize(
    ("text", "right"),
    [("n,w", 1), ("n, w", 1), ("n; w", 1), ("['n', 'w']", 1), ("w,n", 0), ("n", 0), ("n,w,n", 0)],
)
def test_a_path_is_right_in_its_order_only(text, right):
    assert babi(text, "n,w").correct is bool(right)
    assert babi(text, "n,w").parts["f1"] == right


def test_exact_match_reports_overlap_of_the_items():
    assert babi("Santa Cruz, California", "Santa Cruz, California").correct  # one item
    parts = babi("apple; bread; milk", "apple", "milk").parts
    assert parts == {"precision": 2 / 3, "recall": 1.0, "f1": 0.8}


@pytest.mark.parametrize(
    ("text", "gold", "changes", "right"),
    [
        # Candidates and gold are found in running text, in any order.
        ("It was Yale Press, I think.", ["Yale Press"], {"asked": ASKED}, True),
        ("['Yale Press', 'Green Party']", ["Green Party", "Yale Press"], {}, True),
        # The first candidate that occurs in the question is skipped.
        ("At Yale University she worked for Yale Press", ["Yale Press"], {"asked": ASKED}, True),
        # Subjects are looked for unless the triple element is S2_R1_O1.
        ("Bo Kim of Yale Press", ["Bo Kim"], {"subtype": "S1_R1_O2"}, True),
        ("Bo Kim of Yale Press", ["Yale Press"], {"subtype": "S2_R1_O1"}, True),
        # The whole text is taken if it names no candidate.
        ("['yale-press!']", ["Yale-Press"], {}, True),
        ("somewhere else", ["Yale Press"], {}, False),
        ("", ["Yale Press"], {}, False),
    ],
)
def test_cotemp_by_hand(text, gold, changes, right):
    assert cotemp(text, *gold, **changes).correct is right


def test_cotemp_reports_overlap_of_the_candidates():
    # A wrong candidate counts against the answer.
    verdict = cotemp("Yale Press and Green Party", "Yale Press", asked=ASKED)
    published = {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "average": 1 / 3}
    assert verdict.parts == published | {"corrected": 1, "names_more": 0}
    # The longest candidate is taken out first; facts are read in the past tense too.
    verdict = cotemp("Yale Press Club", "Yale Press Club", "Yale")
    assert (verdict.correct, verdict.parts["recall"]) == (False, 0.5)
    assert cotemp("Yale Press", "Yale").parts["f1"] == 0


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
def test_the_released_reading_of_an_answer(text, answer):
    assert released_answer(text) == answer


@pytest.mark.parametrize(
    ("text", "gold", "right"),
    [
        ("It is about 5 years.", "5", True),
        ("it's 5!", "5", True),
        ("Five", "5", False),
        ("15", "5", False),
        ("U.S.", "us", True),
        # A decimal point is no punctuation.
        ("15 percent", "1.5 percent", False),
        ("1.5 percent.", "1.5 percent", True),
    ],
)
def test_marco_needs_a_gold_answer_in_the_text_as_whole_words(text, gold, right):
    assert marco(text, "no such answer", gold).correct is right


def test_marco_rouge_l_combines_the_best_precision_with_the_best_recall():
    # "a b": 2 of 4 tokens are right, 2 of 2 found; the other reference: 3 of 4 and 3 of 6.
    precision, recall = 3 / 4, 1.0
    expected = (1 + 1.44) * precision * recall / (recall + 1.44 * precision)
    assert marco("a b c x", "a b", "a b c d e f").parts[marco_metric.ROUGE] == pytest.approx(
        expected
    )
    assert expected == pytest.approx(0.8798, abs=1e-4)
    assert (
        marco("x y", "a b").parts[marco_metric.ROUGE]
        == marco("", "a b").parts[marco_metric.ROUGE]
        == 0
    )


@given(st.text("abc", max_size=7), st.text("abc", max_size=7))
def test_the_common_subsequence_is_the_longest(first, second):
    some, others = ({s for n in range(8) for s in combinations(x, n)} for x in (first, second))
    assert marco_metric.common_subsequence(first, second) == max(map(len, some & others))


def _figures(*pairs):
    rows = [marco(text, gold).parts for text, gold in pairs]
    return marco_metric.figures(pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.Float64)))


def test_marco_bleu_1_is_of_the_corpus_with_clipped_counts_and_a_brevity_penalty():
    # 3 of 4 tokens match; 4 tokens against 5 of the references: exp(1 - 5 / 4) * 3 / 4.
    figures = _figures(("the the cat", "the cat sat down"), ("a", "a"))
    assert figures[marco_metric.BLEU] == pytest.approx(0.5841006, abs=1e-7)


def test_marco_figures_leave_unanswerable_questions_out():
    refusal = "No Answer Present."
    assert marco(refusal, refusal).correct
    official = {marco_metric.ROUGE: None, marco_metric.BLEU: None}
    assert _figures(("x", refusal)) == {"exact": 0, "f1": 0, **official}
    both = _figures(("x", refusal), ("a", "a"))
    assert both == pytest.approx({"exact": 0.5, "f1": 0.5, **dict.fromkeys(official, 1.0)})


def test_to_marco_a_refusal_has_no_word_in_common_with_an_answer():
    parts = marco("No Answer Present.", "No answer is present in the tower.").parts
    assert list(parts.values())[2:] == [0, 0, 0, 8]


def test_marco_has_exact_match_and_token_f1_beside_containment():
    long = marco("It took them 5 long years.", "5 years", "5")
    assert (long.correct, long.parts["exact"], long.parts["f1"]) == (True, 0, pytest.approx(0.5))
    assert marco("5 Years!", "5 years").parts["exact"] == 1


#: The sample of the official script and what its own test expects.
OFFICIAL = [
    ("sp3", "sp2", "sp2 hybridization"),
    (
        "Aplastic anemia",
        "It is include anemia, bleeding disorders such as hemophilia, blood clots, and blood "
        "cancers such as leukemia, lymphoma, and myeloma.",
        "HIV, hepatitis B, hepatitis C, and viral hemorrhagic fevers.",
    ),
]


def test_marco_gives_the_official_figures_of_the_official_sample():
    rows = [marco(*one).parts for one in OFFICIAL]
    table = pl.DataFrame(rows, schema=dict.fromkeys(rows[0], pl.Float64))
    found = marco_metric.figures(table)
    assert (round(found[marco_metric.ROUGE], 5), round(found[marco_metric.BLEU], 5)) == (
        0.03093,
        0.00852,
    )


def test_marco_figures_are_official_with_the_official_tokens_only():
    if marco_metric.ROUGE != "rouge_l":
        assert "rouge_l" not in metric("marco").parts
        pytest.skip("needs spaCy: pip install -e '.[marco]'")
    # Two tokens each.
    assert marco("don't 10am", "x").parts["bleu_1_tokens"] == 4


@pytest.mark.parametrize(
    ("text", "gold", "published", "corrected", "more"),
    [
        # Asked for an employer, the release looks for people: it does not see the second one.
        ("Yale Press and Yale University", ["Yale Press"], 1, 0, 1),
        ("Yale Press", ["Yale Press"], 1, 1, 0),
        ("", ["Yale Press"], 0, 0, 0),
    ],
)
def test_cotemp_corrected_looks_at_the_side_that_is_asked_for(
    text, gold, published, corrected, more
):
    verdict = cotemp(text, *gold, subtype="S1_R1_O2")
    assert verdict.correct == published
    assert (verdict.parts["corrected"], verdict.parts["names_more"]) == (corrected, more)


def test_a_metric_that_contradicts_its_own_parts_is_an_error():
    absurd = AnswerMetric(("f1",), lambda _: Verdict(True, {"f1": 0.0}))
    with pytest.raises(TracekdError, match="q/7: the metric contradicts itself"):
        judge(question("q/7"), Reading("lenient", Trace(), "A", ("A",)), absurd)
