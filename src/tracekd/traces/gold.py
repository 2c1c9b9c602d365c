"""From a question to the two verifiable steps of its correct trace: class, and gold facts.

The class stands in the question already; a rule of `tracekd.traces.rules` finds the facts.
"""

import itertools
import operator
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import polars as pl

from tracekd import pools, tables
from tracekd.columns import lists
from tracekd.errors import TracekdError, nearest
from tracekd.records import DECOMPOSED, QUESTIONS, SPLITS, STEPS, check
from tracekd.scoring.columns import state
from tracekd.traces.rules import RULES, Rule

#: Bytes of questions from which on other processes are worth their start.
_LARGE = 1 << 26
#: What `manifest` looks at.
_COUNTED = ["question_class", "gold_facts", "answer_in_facts"]


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
    """Return the questions with `gold_facts` and `answer_in_facts` (schema `DECOMPOSED`).

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
    made = questions.with_columns(lists("gold_facts", steps, pl.List(pl.Int32)))
    shown = made.select(pl.col("context").list.gather(pl.col("gold_facts"))).to_series()
    made = made.with_columns(answer_in_facts=state(shown, made["answers"], answers))
    return check(made, DECOMPOSED, f"rule {rule}")


def decompose_files(
    prepared: Path, target: Path, rule: str, answers: Literal["all", "any"]
) -> dict[str, pl.DataFrame]:
    """Decompose the questions of every split, part by part, many on all cores.

    Args:
        prepared: folder with a `records.QUESTIONS` table for each split.
        target: folder to write into: of the test split `records.DECOMPOSED`, of others
            `records.STEPS`.
        rule: as for `decompose`.
        answers: as for `decompose`.

    Returns:
        Of each question what `manifest` counts.

    Raises:
        TracekdError: as `decompose`, or if a file is damaged.
    """
    names = [f"{split}.parquet" for split in SPLITS]
    schemas = [DECOMPOSED if split == "test" else STEPS for split in SPLITS]
    sizes = [(prepared / name).stat().st_size for name in names if (prepared / name).is_file()]
    if large := sum(sizes) >= _LARGE:
        pools.start(_decompose_part)
    starts = [tables.part_starts(prepared / name) for name in names]
    # One stream for all splits: the end of one and the beginning of the next are worked on at once.
    items = [
        (prepared / name, tuple(schema), start)
        for name, schema, its in zip(names, schemas, starts, strict=True)
        for start in its
    ]
    work = partial(_decompose_part, rule, answers)
    results = pools.in_order(work, items, parallel=large)
    made = pools.watched(results, len(items), "decompose")
    return {
        split: tables.write_telling(
            itertools.islice(made, len(its)), target / name, schema, operator.itemgetter(_COUNTED)
        )
        for split, name, schema, its in zip(SPLITS, names, schemas, starts, strict=True)
    }


def _decompose_part(
    rule: str, answers: Literal["all", "any"], item: tuple[Path, tuple[str, ...], int]
) -> pl.DataFrame:
    source, columns, start = item
    return decompose(tables.read_part(source, QUESTIONS, start), rule, answers).select(columns)


def manifest(tables: Mapping[str, pl.DataFrame], dataset: str, rule: str) -> dict[str, Any]:
    """Return what the rule found, by split and class.

    Args:
        tables: split -> its questions, decomposed, or what `decompose_files` returns of them.
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
    sizes = table["gold_facts"].list.len()
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
