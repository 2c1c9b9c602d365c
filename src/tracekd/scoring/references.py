"""Gold classes and answers by their own metrics: are they distinct, and is each called right?

A gold answer is written as a student would, read back and scored. A published metric may call some
wrong (CoTempQA's skips a name that the question mentions): they are counted and named. If they are
many, metric and dataset do not fit.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.answers import judge, metric_of
from tracekd.scoring.traces import score_class
from tracekd.traces.examples import classes_of
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar

#: A larger share of questions whose gold answer is wrong is an error.
_MOST = 0.1
_NAMED = 20


def check_references(tables: Mapping[str, pl.DataFrame], spec: DatasetSpec) -> dict[str, Any]:
    """Return how many questions of each split have a gold answer that is wrong, and which first.

    `tables` are `records.DECOMPOSED` by split.

    Raises:
        TracekdError: naming the question, if an answer cannot be scored, or if many of a split are
            wrong; if the verdict on classes cannot tell two apart; or if keys of the entry
            contradict each other.
    """
    _check_classes(classes_of(tables.values()), spec)
    grammar, chosen = Grammar(spec.class_sentence), metric_of(spec)
    report = {}
    for split, table in tables.items():
        wrong = []
        for row in table.iter_rows(named=True):
            answers = row["answers"]
            for together in [answers] if spec.answers == "all" else [[one] for one in answers]:
                reading = grammar.read(grammar.render(Trace(), tuple(together)))
                if not judge(row, reading, chosen).correct:
                    wrong.append((row["id"], row["source"], "; ".join(together)))
                    break
        if len(wrong) > _MOST * table.height:
            key, source, answer = wrong[0]
            raise TracekdError(
                f"datasets.yaml: {spec.name}: answer_metric: {spec.answer_metric} calls the gold "
                f"answers of {len(wrong)} of {table.height} {split} questions wrong, first {key} "
                f"({source}): {answer!r}; choose a metric that fits these answers"
            )
        report[split] = {"count": len(wrong), "first": [key for key, *_ in wrong[:_NAMED]]}
    return report


def _check_classes(classes: Sequence[str], spec: DatasetSpec) -> None:
    for one, other in combinations(classes, 2):
        if score_class(one, other)["class_correct"]:
            raise TracekdError(
                f"datasets.yaml: {spec.name}: the classes {one!r} and {other!r} differ in case or "
                "punctuation alone, so either would be called right for the other; rename one"
            )
