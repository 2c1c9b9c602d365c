"""From a question to the two verifiable steps of its correct trace: class, and gold facts.

The class stands in the question already; a rule of `tracekd.traces.facts_rules` finds the facts.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tracekd import pools, tables
from tracekd.columns import lists
from tracekd.errors import TracekdError, nearest
from tracekd.records import DECOMPOSED, QUESTIONS, Schema, check
from tracekd.scoring.columns import state
from tracekd.traces.facts_rules import RULES, Rule


def rule_of(
    dataset: str,
    facts: Mapping[Literal["paper", "full"], str],
    wanted: Literal["paper", "full"],
) -> str:
    """Return the name of the rule for `decompose.facts: wanted`.

    Args:
        dataset: key of datasets.yaml, for the message.
        facts: the entry's `facts`.
        wanted: `paper` or `full`.

    Raises:
        TracekdError: if the data set has no such rule, or the rule does not exist.
    """
    where = f"datasets.yaml: {dataset}: facts"
    if wanted not in facts:
        raise TracekdError(
            f"params.yaml: decompose.facts: {wanted!r} asked, but {where} has no rule for it; "
            f"{nearest(wanted, facts)}"
        )
    _rule(facts[wanted], where)
    return facts[wanted]


def decompose(questions: pl.DataFrame, rule: str, answers: Literal["all", "any"]) -> pl.DataFrame:
    """Return the questions with `step_facts` and `answer_in_facts` (schema `DECOMPOSED`).

    Args:
        questions: rows in the schema `tracekd.records.QUESTIONS`.
        rule: a name in `RULES`.
        answers: whether the answers together make the answer, or are alternatives.

    Raises:
        TracekdError: if the rule does not exist or does not suit the questions.
    """
    found = _rule(rule, "rule")(questions)
    # Hashes tell equal facts as well as the texts do, and are quick to hand over to Python.
    hashes = questions.select(pl.col("context").list.eval(pl.element().hash())).to_series()
    steps = [_first_equal(*pair) for pair in zip(hashes.to_list(), found, strict=True)]
    made = questions.with_columns(lists("step_facts", steps, pl.List(pl.Int32)))
    shown = made.select(pl.col("context").list.gather(pl.col("step_facts"))).to_series()
    made = made.with_columns(answer_in_facts=state(shown, made["answers"], answers))
    return check(made, DECOMPOSED, f"rule {rule}")


def decompose_file(
    source: Path, target: Path, rule: str, answers: Literal["all", "any"], schema: Schema
) -> pl.DataFrame:
    """Decompose a file of questions into another one, part by part, many on all cores.

    Args:
        source: in the schema `tracekd.records.QUESTIONS`.
        target: where to write.
        rule: as for `decompose`.
        answers: as for `decompose`.
        schema: of the target, `DECOMPOSED` or `tracekd.records.STEPS`.

    Returns:
        Of each question what `manifest` counts.

    Raises:
        TracekdError: as `decompose`, or if a file is damaged.
    """
    decompose_part = partial(_decompose_part, source, rule, answers)
    starts = tables.part_starts(source)
    made = pools.watched(pools.in_threads(decompose_part, starts), len(starts), source.stem)
    counted: list[pl.DataFrame] = []

    def parts() -> Iterator[pl.DataFrame]:
        for part in made:
            counted.append(part.select("question_class", "step_facts", "answer_in_facts"))
            yield part.select(list(schema))

    tables.write_parts(parts(), target, schema)
    return pl.concat(counted)


def _decompose_part(
    source: Path, rule: str, answers: Literal["all", "any"], start: int
) -> pl.DataFrame:
    return decompose(tables.read_part(source, QUESTIONS, start), rule, answers)


def manifest(tables: Mapping[str, pl.DataFrame], dataset: str, rule: str) -> dict[str, Any]:
    """Return what the rule found, by split and class.

    Args:
        tables: split -> its questions, decomposed, or what `decompose_file` returns of them.
        dataset: key of datasets.yaml.
        rule: name of the rule.

    `answer_in_facts` is the share of questions whose gold facts state the answer (leakage).
    """
    return {
        "dataset": dataset,
        "rule": rule,
        "splits": {
            split: {
                **_found(table),
                "classes": {
                    str(label): _found(rows)
                    for (label,), rows in sorted(table.group_by("question_class"))
                },
            }
            for split, table in tables.items()
        },
    }


def _found(table: pl.DataFrame) -> dict[str, Any]:
    sizes = table["step_facts"].list.len()
    return {
        "questions": len(table),
        "without_gold_fact": int((sizes == 0).sum()),
        "mean_gold_facts": sizes.mean(),
        "answer_in_facts": table["answer_in_facts"].mean(),
    }


def _rule(name: str, where: str) -> Rule:
    if name not in RULES:
        raise TracekdError(f"{where}: unknown rule {name!r}; {nearest(name, RULES)}")
    return RULES[name]


def _first_equal(hashes: Sequence[int], facts: Sequence[int]) -> list[int]:
    """Return the facts without repetition; those of equal hashes count as the first of them."""
    return list(dict.fromkeys(hashes.index(hashes[i]) for i in facts))
