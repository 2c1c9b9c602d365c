"""Question and regime -> what the student is shown: system message, prompt, completion."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec, Params
from tracekd.errors import TracekdError
from tracekd.records import SFT
from tracekd.text import one_line
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import Donors, Gold, RegimeContext, show


def render_prompt(template: str, question: str, context: Sequence[str]) -> str:
    """Return the prompt template, filled: each fact on its own line after "- ".

    The slots are filled in one pass, so a question or fact that contains "{context}" stays as is.
    """
    slots = {
        "{context}": "\n".join(f"- {one_line(fact)}" for fact in context),
        "{question}": one_line(question),
    }
    return re.sub("|".join(map(re.escape, slots)), lambda slot: slots[slot[0]], template)


def gold_steps(table: pl.DataFrame) -> list[Gold]:
    """Return the gold steps of each row of a `records.DECOMPOSED` table, in order."""
    columns = table.select("id", "question_class", "context", "gold_facts")
    return [
        Gold(key, class_name, tuple(context), tuple(facts))
        for key, class_name, context, facts in columns.iter_rows()
    ]


def classes_of(tables: Iterable[pl.DataFrame]) -> tuple[str, ...]:
    """Return every class of the dataset, given the tables of all splits."""
    return tuple(sorted({name for table in tables for name in table["question_class"]}))


def build(
    tables: Mapping[str, pl.DataFrame], params: Params, spec: DatasetSpec
) -> dict[str, pl.DataFrame]:
    """Return the examples of each split, `records.SFT`, given its `records.DECOMPOSED`.

    Wrong classes are drawn from all splits, traces of other questions from the same split.

    Raises:
        TracekdError: if an answer is blank, or a test question is in another split too.
    """
    classes, grammar = classes_of(tables.values()), Grammar(spec.class_sentence)
    made = {}
    for split, table in tables.items():
        golds = gold_steps(table)
        donors = Donors(golds, params.seed)
        context = RegimeContext(params.seed, params.corruption, classes, grammar, donors)
        questions = table.iter_rows(named=True)
        rows = [
            _example(question, gold, context, params, spec)
            for question, gold in zip(questions, golds, strict=True)
        ]
        made[split] = pl.DataFrame(rows, schema=SFT)
    _require_unseen_test(made)
    return made


def _example(
    question: Mapping[str, Any],
    gold: Gold,
    context: RegimeContext,
    params: Params,
    spec: DatasetSpec,
) -> dict[str, Any]:
    shown = show(params.trace_mode, gold, context)
    # All items of a set; of alternatives the first.
    answers = question["answers"] if spec.answers == "all" else question["answers"][:1]
    try:
        completion = context.grammar.render(shown.trace, tuple(answers))
    except ValueError as error:
        raise TracekdError(f"question {gold.id} ({question['source']}): {error}") from error
    return {
        "id": gold.id,
        "system": params.prompt.system,
        "prompt": render_prompt(params.prompt.template, question["question"], question["context"]),
        "completion": completion.text,
        "answer_start": completion.answer_start,
        "regime": params.trace_mode,
        "shown_class": shown.trace.class_name,
        "shown_facts": shown.trace.facts,
        "class_right": shown.class_right,
        "facts_right": shown.facts_right,
        "note": shown.note,
    }


def _require_unseen_test(examples: Mapping[str, pl.DataFrame]) -> None:
    """Refuse a test split that training has seen, by id or by what the student is shown."""
    for name in examples.keys() - {"test"}:
        for column in ("id", "prompt"):
            leaked = examples["test"].join(examples[name], on=column, how="semi")
            if leaked.height:
                raise TracekdError(
                    f"test and {name}: {leaked.height} questions are in both, {leaked['id'][0]} "
                    f"first (the same {column}); run prepare again (dvc repro -f prepare)"
                )


def manifest(examples: Mapping[str, pl.DataFrame]) -> dict[str, Any]:
    """Return how many steps shown are right in each split, and the notes."""
    return {
        split: {
            "examples": table.height,
            "class_step": _verdicts(table["class_right"]),
            "facts_step": _verdicts(table["facts_right"]),
            "notes": dict(sorted(Counter(table["note"].drop_nulls()).items())),
        }
        for split, table in examples.items()
    }


def notes(made: Mapping[str, Any]) -> list[str]:
    """Return a line for each note of a `manifest`: traces that are not what the regime promises."""
    return [
        f"{split}: {count} of {found['examples']} traces: {note}"
        for split, found in made.items()
        for note, count in found["notes"].items()
    ]


def _verdicts(right: pl.Series) -> dict[str, int]:
    return {
        "right": int(right.sum() or 0),
        "wrong": int((~right).sum() or 0),
        "not_shown": right.null_count(),
    }
