"""Each step against its own question's gold."""

import random
from collections.abc import Collection
from typing import Any

import polars as pl
import pytest
from row_by_row import MISSING, FactsVerdict, TraceVerdict
from row_by_row import score_trace as defined

from tracekd.scoring.traces import Step, score_traces
from tracekd.traces.grammar import Trace, one_line

Row = tuple[Trace, str, Collection[int], list[str]]

CONTEXT = ["Mary went home.", "John left.", "Mary slept.", "John left."]
BOTH = frozenset({"class", "facts"})
SCHEMA: dict[str, Any] = {
    "form": pl.String,
    "class_name": pl.String,
    "facts": pl.List(pl.String),
    "question_class": pl.String,
    "context": pl.List(pl.String),
    "gold_facts": pl.List(pl.Int32),
}
# Few words in several spellings, so that facts are often equal, or nearly.
WORDS = (
    "a",
    "A",
    "b.",
    "\u0130",
    "i\u0307",
    "\u03a3",
    "\u212a",
    "k",
    "?",
    "",
    " ",
    "\t",
    "\xa0",
    "\x1c",
)
STEPS: list[set[Step]] = [set(), {"class"}, {"facts"}, {"class", "facts"}]


def scored(rows: list[Row], steps: Collection[Step]) -> list[TraceVerdict]:
    table = [
        ("strict", trace.class_name, trace.facts, gold, context, list(facts))
        for trace, gold, facts, context in rows
    ]
    found = score_traces(pl.DataFrame(table, schema=SCHEMA, orient="row"), steps)
    return [
        TraceVerdict(
            row["class_predicted"],
            row["class_correct"],
            FactsVerdict(
                tuple(row["facts_predicted"]),
                *(row[f"facts_{n}"] for n in ("lenient", "unmatched", "precision", "recall", "f1")),
                exact=row["facts_exact"],
            )
            if row["facts_exact"] is not None
            else None,
            row["trace_correct"],
        )
        for row in found.iter_rows(named=True)
    ]


def score_trace(
    trace: Trace, gold: str, facts: Collection[int], context: list[str], steps: Collection[Step]
) -> TraceVerdict:
    return scored([(trace, gold, facts, context)], steps)[0]


def score_facts(quoted: list[str], gold: Collection[int], context: list[str]) -> FactsVerdict:
    verdict = score_trace(Trace(None, tuple(quoted)), "", gold, context, {"facts"}).facts
    assert verdict is not None
    return verdict


def asked_and_read(number: int) -> Row:
    draw = random.Random(number)  # noqa: S311

    def words() -> str:
        return "".join(draw.choices(WORDS, k=draw.randrange(5)))

    context = [words() for _ in range(draw.randint(1, 5))]
    quoted = [draw.choice([words(), *context]) for _ in range(draw.randrange(5))]
    facts = draw.choice([None, *[tuple(map(one_line, quoted))] * 9])
    gold = draw.sample(range(len(context)), draw.randint(0, min(3, len(context))))
    return Trace(draw.choice([None, words()]), facts), words(), gold, context


@pytest.mark.parametrize("steps", STEPS, ids=["none", "class", "facts", "both"])
def test_columns_say_what_the_definition_says_row_by_row(steps: set[Step]) -> None:
    rows = [asked_and_read(number) for number in range(5000)]
    verdicts = scored(rows, steps)
    for row, verdict in zip(rows, verdicts, strict=True):
        trace, gold, facts, context = row
        assert verdict == defined(trace, gold, facts, list(map(one_line, context)), steps), row


def test_all_gold_facts_and_no_other_are_exact_in_any_order() -> None:
    verdict = score_facts(["Mary slept.", "Mary went home."], [0, 2], CONTEXT)
    assert verdict == FactsVerdict((2, 0), 0, 0, 1.0, 1.0, 1.0, exact=True)


def test_a_fact_that_stands_in_the_context_twice_is_one_fact() -> None:
    assert score_facts(["John left."], [1, 3], CONTEXT).exact
    assert score_facts(["John left.", "John left."], [3], CONTEXT).predicted == (1,)


def test_a_fact_too_many_costs_precision_and_one_too_few_recall() -> None:
    many = score_facts(["Mary went home.", "Mary slept."], [0], CONTEXT)
    assert (many.precision, many.recall, many.f1, many.exact) == (0.5, 1.0, 2 / 3, False)
    few = score_facts(["Mary went home."], [0, 2], CONTEXT)
    assert (few.precision, few.recall, few.exact) == (1.0, 0.5, False)


def test_a_quotation_that_stands_in_no_fact_is_a_wrong_fact() -> None:
    verdict = score_facts(["Mary went home.", "Mary flew."], [0], CONTEXT)
    assert (verdict.unmatched, verdict.precision, verdict.exact) == (1, 0.5, False)


def test_a_fact_found_without_case_and_punctuation_counts_and_is_counted() -> None:
    verdict = score_facts(["mary went home"], [0], CONTEXT)
    assert (verdict.predicted, verdict.lenient, verdict.exact) == ((0,), 1, True)


def test_no_fact_is_right_only_where_none_is_gold() -> None:
    assert score_facts([], [], CONTEXT) == FactsVerdict((), 0, 0, 1.0, 1.0, 1.0, exact=True)
    assert not score_facts([], [0], CONTEXT).exact
    assert score_facts(["Mary slept."], [], CONTEXT).f1 == 0


def test_the_class_is_compared_without_case_and_punctuation() -> None:
    verdict = score_trace(
        Trace("Single supporting fact"), "single supporting-fact", [0], CONTEXT, {"class"}
    )
    assert not verdict.class_correct
    assert score_trace(Trace("WHERE."), "where", [0], CONTEXT, {"class"}).class_correct


@pytest.mark.parametrize(
    ("class_name", "facts", "right"),
    [
        ("where", ("Mary went home.",), True),
        ("who", ("Mary went home.",), False),
        ("where", ("Mary slept.",), False),
        (None, ("Mary went home.",), False),
        ("where", None, False),
    ],
)
def test_a_trace_is_right_if_every_taught_step_is(
    class_name: str | None, facts: tuple[str, ...] | None, right: bool
) -> None:
    verdict = score_trace(Trace(class_name, facts), "where", [0], CONTEXT, BOTH)
    assert verdict.correct is right


def test_steps_that_are_not_taught_have_no_verdict() -> None:
    trace = Trace("where", ("Mary went home.",))
    nothing = score_trace(trace, "where", [0], CONTEXT, frozenset())
    assert (nothing.class_correct, nothing.facts, nothing.correct) == (None, None, None)
    facts_only = score_trace(trace, "who", [0], CONTEXT, {"facts"})
    assert facts_only.class_name is None
    assert facts_only.correct


def test_a_taught_step_that_is_missing_is_wrong() -> None:
    assert score_trace(Trace(), "where", [], CONTEXT, BOTH).facts == MISSING
