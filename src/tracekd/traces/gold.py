"""From a question to the two verifiable steps of its correct trace: its class, and its gold facts.

The question states its class already; a rule of `tracekd.traces.rules` finds the facts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError, nearest
from tracekd.records import DECOMPOSED, check
from tracekd.text import one_line, states_answer
from tracekd.traces.rules import RULES, doubts

#: What training may give away about a test question, as `records.DECOMPOSED` describes.
LEAKS = ("facts_in_contexts", "facts_taught", "answers_taught")


def rule_of(spec: DatasetSpec, wanted: Literal["paper", "full"]) -> str:
    """Return the name of a dataset's rule for the `decompose.facts` that is wanted."""
    name = spec.facts.get(wanted, "none")
    if name not in RULES:
        raise TracekdError(
            f"datasets.yaml: {spec.name}: facts: {wanted}: unknown rule {name!r}; "
            f"{nearest(name, RULES)} (or choose another decompose.facts in params.yaml)"
        )
    return name


def decompose(questions: pl.DataFrame, rule: str, answers: Literal["all", "any"]) -> pl.DataFrame:
    """Return a `records.QUESTIONS` table with the gold steps of its traces: `records.DECOMPOSED`.

    `rule` is a name in `RULES`; `answers` is as in datasets.yaml. `leaks` is null: see
    `with_leaks`.
    """
    find = RULES[rule]
    facts, stated = [], []
    for question in questions.iter_rows(named=True):
        context: list[str] = question["context"]
        # Of equal facts the first counts, once.
        gold = list(dict.fromkeys(context.index(context[index]) for index in find(question)))
        facts.append(gold)
        stated.append(states_answer([context[i] for i in gold], question["answers"], answers))
    made = questions.with_columns(
        pl.Series("gold_facts", facts, DECOMPOSED["gold_facts"]),
        pl.Series("answer_in_facts", stated, pl.Boolean),
        pl.lit(None, DECOMPOSED["leaks"]).alias("leaks"),
    )
    return check(made, DECOMPOSED, f"rule {rule}")


def with_leaks(test: pl.DataFrame, train: pl.DataFrame) -> pl.DataFrame:
    """Return the table `test` with `leaks`; both are `records.DECOMPOSED`."""
    asked = list(_gold_texts(test))
    wanted = set().union(*asked)  # not all facts of a large train split
    contexts = {
        text for facts in train["context"] for text in wanted.intersection(map(one_line, facts))
    }
    taught = set().union(*_gold_texts(train))
    answers = set(map(frozenset, train["answers"]))
    found = []
    for gold, items in zip(asked, test["answers"], strict=True):
        facts = [bool(gold) and gold <= known for known in (contexts, taught)]
        seen = [*facts, frozenset(items) in answers]
        found.append([kind for kind, leaked in zip(LEAKS, seen, strict=True) if leaked])
    return test.with_columns(pl.Series("leaks", found, DECOMPOSED["leaks"]))


def manifest(tables: Mapping[str, pl.DataFrame], dataset: str, rule: str) -> dict[str, Any]:
    """Return what the rule found, by split and class.

    `tables` are `records.DECOMPOSED` by split. `answer_in_facts` is the share of questions whose
    gold facts state the answer (leakage), `doubts` how many have doubtful gold facts (only for the
    rule `answer_string`), `leaks` how many training gives away (only for test).
    """
    return {
        "dataset": dataset,
        "rule": rule,
        "splits": {
            split: {
                **_found(table, rule),
                "classes": {
                    str(name): _found(rows, rule)
                    for (name,), rows in sorted(table.group_by("question_class"))
                },
            }
            for split, table in tables.items()
        },
    }


def _found(table: pl.DataFrame, rule: str) -> dict[str, Any]:
    sizes = table["gold_facts"].list.len()
    found: dict[str, Any] = {
        "questions": len(table),
        "without_gold_fact": int((sizes == 0).sum()),
        "mean_gold_facts": sizes.mean(),
        "answer_in_facts": table["answer_in_facts"].mean(),
    }
    if rule == "answer_string":
        rows = table.iter_rows(named=True)
        found["doubts"] = dict(Counter(doubt for row in rows for doubt in doubts(row)))
    if table["leaks"].count():
        leaks = table["leaks"].list
        found["leaks"] = {kind: int(leaks.contains(kind).sum()) for kind in LEAKS}
    return found


def _gold_texts(table: pl.DataFrame) -> Iterator[set[str]]:
    for context, gold in table.select("context", "gold_facts").iter_rows():
        yield {one_line(context[index]) for index in gold}
