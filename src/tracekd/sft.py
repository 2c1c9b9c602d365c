"""Question and regime -> what the student is shown: system message, prompt, completion."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec, Params, PromptParams
from tracekd.errors import TracekdError
from tracekd.records import SFT
from tracekd.traces.grammar import one_line, render
from tracekd.traces.regimes import Gold, Ring, Setting, show


def render_prompt(template: str, context: Iterable[str], question: str) -> str:
    """Fill the prompt template: each fact on a line of its own after "- ".

    The slots are filled in one pass, so a question or a fact that contains "{context}" stays as it
    is.
    """
    facts = "\n".join(f"- {one_line(fact)}" for fact in context)
    slots = {"{context}": facts, "{question}": one_line(question)}
    first, second = sorted(slots, key=template.index)
    head, _, rest = template.partition(first)
    middle, _, tail = rest.partition(second)
    return head + slots[first] + middle + slots[second] + tail


def taught_answers(answers: list[str], spec: DatasetSpec) -> tuple[str, ...]:
    """Return the answers that a completion gives: all of a set, the first of alternatives."""
    return tuple(answers if spec.answers == "all" else answers[:1])


def gold_steps(table: pl.DataFrame) -> list[Gold]:
    """Return the gold steps of each row of a `records.DECOMPOSED` table, in order."""
    columns = table.select("id", "question_class", "context", "step_facts")
    return [
        Gold(key, class_name, tuple(context), tuple(facts))
        for key, class_name, context, facts in columns.iter_rows()
    ]


def build(
    table: pl.DataFrame,
    *,
    trace_mode: str,
    seed: int,
    corruption: float,
    classes: tuple[str, ...],
    prompt: PromptParams,
    spec: DatasetSpec,
) -> pl.DataFrame:
    """Return the `records.SFT` table of one split.

    Args:
        table: a `records.DECOMPOSED` table.
        trace_mode: a name in `regimes.REGIMES`.
        seed: decides the wrong steps, together with each question's id.
        corruption: fraction of incorrect traces under `mixed`.
        classes: every class of the data set, for the choice of a wrong one.
        prompt: system message and template.
        spec: the data set's entry.

    Raises:
        TracekdError: if the regime is unknown, or a row's answer cannot be rendered.
    """
    golds = gold_steps(table)
    setting = Setting(seed, corruption, classes, spec.class_sentence, Ring(golds, seed))
    rows = []
    for gold, question, answers in zip(golds, table["question"], table["answers"], strict=True):
        shown = show(trace_mode, gold, setting)
        try:
            completion = render(
                shown.trace, taught_answers(answers.to_list(), spec), spec.class_sentence
            )
        except ValueError as error:
            raise TracekdError(f"question {gold.id}: {error}") from error
        rows.append(
            (
                gold.id,
                prompt.system,
                render_prompt(prompt.template, gold.context, question),
                completion.text,
                completion.answer_start,
                trace_mode,
                shown.trace.class_name,
                shown.trace.facts,
                shown.class_right,
                shown.facts_right,
                shown.note,
            )
        )
    return pl.DataFrame(rows, schema=dict(SFT), orient="row")


def build_splits(
    tables: dict[str, pl.DataFrame], params: Params, spec: DatasetSpec
) -> dict[str, pl.DataFrame]:
    """Return the `records.SFT` table of every split; wrong classes come from all splits.

    Raises:
        TracekdError: if a question of the test split also stands in another one.
    """
    classes = tuple(sorted(set().union(*(table["question_class"] for table in tables.values()))))
    built = {
        name: build(
            table,
            trace_mode=params.trace_mode,
            seed=params.seed,
            corruption=params.corruption,
            classes=classes,
            prompt=params.prompt,
            spec=spec,
        )
        for name, table in tables.items()
    }
    _check_unseen(built)
    return built


def manifest(splits: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Return what is true of the traces shown, per split: how many steps are right, and notes."""
    return {
        name: {
            "examples": table.height,
            "class_step": _verdicts(table["class_right"]),
            "facts_step": _verdicts(table["facts_right"]),
            "notes": dict(sorted(Counter(table["note"].drop_nulls()).items())),
        }
        for name, table in splits.items()
    }


def _check_unseen(splits: dict[str, pl.DataFrame]) -> None:
    """Refuse a test split that training has seen, by id or by what the student is shown."""
    test = splits.get("test")
    for name, table in splits.items():
        if test is None or table is test:
            continue
        for key in ("id", "prompt"):
            leaked = test.filter(pl.col(key).is_in(table[key].implode()))
            if leaked.height:
                raise TracekdError(
                    f"test and {name}: {leaked.height} questions stand in both, {leaked['id'][0]} "
                    f"first (the same {key}); run prepare again (dvc repro -f prepare)"
                )


def _verdicts(right: pl.Series) -> dict[str, int]:
    return {
        "right": int(right.sum() or 0),
        "wrong": int((~right).sum() or 0),
        "not_shown": right.null_count(),
    }
