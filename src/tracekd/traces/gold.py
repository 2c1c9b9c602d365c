"""From a question to the two verifiable steps of its correct trace: its class, and its gold facts.

The question states its class already; a rule of `tracekd.traces.rules` finds the facts.
"""

from collections.abc import Mapping
from typing import Any, Literal

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError, nearest
from tracekd.records import DECOMPOSED, check
from tracekd.text import states_answer
from tracekd.traces.rules import RULES


def rule_of(spec: DatasetSpec, wanted: Literal["paper", "full"]) -> str:
    """Return the name of a dataset's rule for `decompose.facts: wanted`, which must exist."""
    where = f"datasets.yaml: {spec.name}: facts"
    if wanted not in spec.facts:
        raise TracekdError(
            f"params.yaml: decompose.facts: {wanted!r}, but {where} names no rule for it; "
            f"{nearest(wanted, spec.facts)}"
        )
    name = spec.facts[wanted]
    if name not in RULES:
        raise TracekdError(f"{where}: unknown rule {name!r}; {nearest(name, RULES)}")
    return name


def decompose(questions: pl.DataFrame, rule: str, answers: Literal["all", "any"]) -> pl.DataFrame:
    """Return a `records.QUESTIONS` table with the gold steps of its traces: `records.DECOMPOSED`.

    Args:
        questions: their `gold_facts`, if any, are what the dataset marks.
        rule: a name in `RULES`.
        answers: whether the answers together make the answer, or are alternatives.
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
    )
    return check(made, DECOMPOSED, f"rule {rule}")


def manifest(tables: Mapping[str, pl.DataFrame], dataset: str, rule: str) -> dict[str, Any]:
    """Return what the rule found, by split and class.

    `tables` are `records.DECOMPOSED` by split. `answer_in_facts` is the share of questions whose
    gold facts state the answer (leakage).
    """
    return {
        "dataset": dataset,
        "rule": rule,
        "splits": {
            split: {
                **_found(table),
                "classes": {
                    str(name): _found(rows)
                    for (name,), rows in sorted(table.group_by("question_class"))
                },
            }
            for split, table in tables.items()
        },
    }


def _found(table: pl.DataFrame) -> dict[str, Any]:
    sizes = table["gold_facts"].list.len()
    return {
        "questions": len(table),
        "without_gold_fact": int((sizes == 0).sum()),
        "mean_gold_facts": sizes.mean(),
        "answer_in_facts": table["answer_in_facts"].mean(),
    }
