"""Gold answers by their own metric: each is written as a student would, read back and scored.

A question whose gold answer is wrong can never be answered. Published metrics have such questions
(CoTempQA's skips a name that the question mentions): they are counted and named. If they are many,
metric and dataset do not fit, which is an error before anything is trained.
"""

from collections.abc import Mapping
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.answers import judge, metric_of
from tracekd.traces.form import Trace
from tracekd.traces.grammar import Grammar

#: A larger share of questions whose gold answer is wrong is an error.
MOST_UNSCORABLE = 0.1
_NAMED = 20


def check_references(tables: Mapping[str, pl.DataFrame], spec: DatasetSpec) -> dict[str, Any]:
    """Return by split how many gold answers their metric calls wrong, and the first ids.

    Every alternative counts; the items of one answer count together.

    Args:
        tables: `records.DECOMPOSED` by split.
        spec: the dataset's entry in datasets.yaml.

    Raises:
        TracekdError: naming the question, if an answer cannot be written or scored, or if more than
            `MOST_UNSCORABLE` of a split are wrong; or if keys of the entry contradict each other.
    """
    grammar, chosen = Grammar(spec.class_sentence), metric_of(spec)
    report = {}
    for split, table in tables.items():
        wrong: list[tuple[str, str]] = []
        for row in table.iter_rows(named=True):
            trace = Trace(
                row["question_class"], tuple(row["context"][i] for i in row["gold_facts"])
            )
            together = spec.answers == "all"
            for answers in [row["answers"]] if together else [[one] for one in row["answers"]]:
                try:
                    text = grammar.render(trace, tuple(answers)).text
                except ValueError as error:
                    raise TracekdError(f"{row['id']} ({row['source']}): {error}") from error
                if not judge(row, grammar.read(text), chosen).correct:
                    wrong.append((row["id"], f"{'; '.join(answers)!r} ({row['source']})"))
                    break
        if len(wrong) > MOST_UNSCORABLE * table.height:
            key, answer = wrong[0]
            raise TracekdError(
                f"datasets.yaml: {spec.name}: answer_metric: {spec.answer_metric} calls the gold "
                f"answers of {len(wrong)} of {table.height} {split} questions wrong, first {key}: "
                f"{answer}; choose a metric that fits these answers"
            )
        report[split] = {"count": len(wrong), "first": [key for key, _ in wrong[:_NAMED]]}
    return report
