"""Question and regime -> what the student is shown: system message, prompt, completion."""

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import polars as pl

from tracekd.config import DatasetSpec, Params
from tracekd.errors import TracekdError
from tracekd.records import SFT
from tracekd.text import one_line, states_answer
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import Donors, Gold, RegimeContext, filler_for, regime, show
from tracekd.traces.taught import Taught

#: Column with a verdict on the trace shown -> what it says.
_TEXTS = {
    "class_right": "the class is right",
    "facts_right": "the facts are right",
    "states_answer": "the trace states the answer",
}


def render_prompt(
    template: str, question: str, context: Sequence[str], others: Mapping[str, str] | None = None
) -> str:
    """Return the prompt template, filled: each fact on its own line after "- ".

    The slots are filled in one pass, so a question or fact that contains "{context}" stays as is.
    `others` are further slots, with their braces.
    """
    slots = {
        "{context}": "\n".join(f"- {one_line(fact)}" for fact in context),
        "{question}": one_line(question),
        **(others or {}),
    }
    return re.sub("|".join(map(re.escape, slots)), lambda slot: slots[slot[0]], template)


def gold_steps(table: pl.DataFrame) -> list[Gold]:
    """Return the gold steps of each row of a `records.DECOMPOSED` table, in order."""
    columns = table.select("id", "question_class", "context", "gold_facts", "answers")
    return [
        Gold(key, class_name, *map(tuple, lists)) for key, class_name, *lists in columns.iter_rows()
    ]


def classes_of(tables: Iterable[pl.DataFrame]) -> tuple[str, ...]:
    """Return every class of the dataset, given the tables of all splits."""
    return tuple(sorted({name for table in tables for name in table["question_class"]}))


def build(
    tables: Mapping[str, pl.DataFrame],
    params: Params,
    spec: DatasetSpec,
    taught: Taught | None = None,
) -> dict[str, pl.DataFrame]:
    """Return the examples of each split, `records.SFT`, given its `records.DECOMPOSED`.

    Wrong classes are drawn from all splits, traces of other questions from the same split; `shots`
    are part of train, but for their own table. A teacher's traces are those `taught`.

    Raises:
        TracekdError: if an answer is blank, or a test question is in another split too.
    """
    classes, grammar = classes_of(tables.values()), Grammar(spec.class_sentence)
    golds = {split: gold_steps(table) for split, table in tables.items()}
    contexts = {
        split: RegimeContext(
            params.seed,
            params.corruption,
            classes,
            grammar,
            Donors(golds["train" if split == "shots" else split], params.seed),
            params.wrong_facts,
            taught.traces if taught else {},
        )
        for split in tables
    }
    like = filler_for(params.trace_mode, golds["train"], contexts["train"])
    made = {}
    for split, table in tables.items():
        rows = [
            _example(question, gold, contexts[split], params, spec, taught) | {"filler_for": like}
            for question, gold in zip(table.iter_rows(named=True), golds[split], strict=True)
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
    taught: Taught | None,
) -> dict[str, Any]:
    shown = show(params.trace_mode, gold, context)
    # All items of a set; of alternatives the first.
    answers = question["answers"] if spec.answers == "all" else question["answers"][:1]
    if taught and params.teacher.answer == "teacher" and not shown.note:
        kind = regime(params.trace_mode).teacher
        answers = taught.answers.get(str(kind), {}).get(gold.id) or answers
    stated = shown.trace.facts if shown.trace.text is None else [shown.trace.text]
    try:
        completion = context.grammar.render(shown.trace, tuple(answers))
    except ValueError as error:
        raise TracekdError(f"question {gold.id} ({question['source']}): {error}") from error
    return {
        "id": gold.id,
        "system": params.prompt.system,
        "prompt": render_prompt(params.prompt.template, question["question"], question["context"]),
        "completion": completion,
        "answer_start": len(context.grammar.render_trace(shown.trace)),
        "regime": params.trace_mode,
        "shown_class": shown.trace.class_name,
        "shown_facts": shown.trace.facts,
        "class_right": shown.class_right,
        "facts_right": shown.facts_right,
        "states_answer": states_answer(stated, question["answers"], spec.answers),
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


def manifest(
    examples: Mapping[str, pl.DataFrame], questions: Mapping[str, pl.DataFrame]
) -> dict[str, Any]:
    """Return for each split and class what its traces show, and the notes.

    `examples` are `records.SFT`, `questions` the `records.DECOMPOSED` that they were drawn from.
    """
    made = {}
    for split, table in examples.items():
        classes = questions[split].select("id", "question_class")
        rows = table.join(classes, on="id", how="left", maintain_order="left")
        made[split] = {
            "examples": table.height,
            "drawn_from": questions[split].height,
            **_shown(table),
            "notes": dict(sorted(Counter(table["note"].drop_nulls()).items())),
            "classes": {
                str(name): _shown(part) for (name,), part in sorted(rows.group_by("question_class"))
            },
        }
    return made


def messages(made: Mapping[str, Any]) -> list[str]:
    """Return what the train split of a `manifest` shows, and why some traces break a promise."""
    found = made["train"]
    lines = [f"{found['examples']} of {found['drawn_from']} training questions"]
    for name, text in _TEXTS.items():
        yes, of = found[name].values()
        classes = {label: part[name]["yes"] for label, part in found["classes"].items()}
        listed = ", ".join(f"{label} {count}" for label, count in classes.items() if count)
        if of:
            lines.append(f"{text} in {yes} of {of}" + (f": {listed}" if 0 < yes < of else ""))
    if "shots" in made and (shots := made["shots"]["examples"]):
        lines.append(f"{shots} other training questions before every question")
    return lines + [f"{count} traces: {note}" for note, count in found["notes"].items()]


def _shown(table: pl.DataFrame) -> dict[str, dict[str, int]]:
    """Return how often each verdict on the steps shown is yes, of how many."""
    return {
        name: {"yes": int(table[name].sum() or 0), "of": table[name].count()} for name in _TEXTS
    }
