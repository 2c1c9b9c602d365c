"""Question and regime -> what the student is shown: system message, prompt, completion."""

import itertools
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self

import polars as pl

from tracekd import pools, tables
from tracekd.columns import column
from tracekd.config import DatasetSpec, Params, PromptParams
from tracekd.errors import TracekdError
from tracekd.records import QUESTIONS, SFT, SPLITS, STEPS
from tracekd.traces.grammar import one_lined, render
from tracekd.traces.regimes import Gold, Ring, Setting, Shown, regime, show

_TOLD = ("id", "class_right", "facts_right", "note")
#: Stand for the prompts, which do not fit the memory; that two have both in common by chance is as
#: good as impossible.
_PROMPT_HASHES = {f"prompt_{seed}": pl.col("prompt").hash(seed) for seed in (0, 1)}


def render_prompts(template: str) -> pl.Expr:
    """Return the prompt template, filled: each fact on a line of its own after "- ".

    Reads the columns `context` and `question`, each text of which is one line. The slots are filled
    in one pass, so a question or a fact that contains "{context}" stays as it is.
    """
    facts = pl.lit("- ") + pl.col("context").list.join("\n- ")
    slots = {"{context}": facts, "{question}": pl.col("question")}
    first, second = sorted(slots, key=template.index)
    head, _, rest = template.partition(first)
    middle, _, tail = rest.partition(second)
    return pl.concat_str(pl.lit(head), slots[first], pl.lit(middle), slots[second], pl.lit(tail))


def taught_answers(answers: list[str], spec: DatasetSpec) -> tuple[str, ...]:
    """Return the answers that a completion gives: all of a set, the first of alternatives."""
    return tuple(answers if spec.answers == "all" else answers[:1])


def gold_steps(table: pl.DataFrame) -> list[Gold]:
    """Return the gold steps of each row of a `records.DECOMPOSED` table, in order."""
    columns = table.select("id", "question_class", "context", "gold_facts")
    return [
        Gold(key, class_name, tuple(context), tuple(facts))
        for key, class_name, context, facts in columns.iter_rows()
    ]


def prompted(table: pl.DataFrame, prompt: PromptParams) -> pl.DataFrame:
    """Return a table of questions with each text in one line, and the columns system and prompt."""
    lined = table.with_columns(
        one_lined(pl.col("question")), pl.col("context").list.eval(one_lined(pl.element()))
    )
    return lined.with_columns(system=pl.lit(prompt.system), prompt=render_prompts(prompt.template))


def build(
    asked: pl.DataFrame,
    *,
    trace_mode: str,
    seed: int,
    corruption: float,
    classes: tuple[str, ...],
    spec: DatasetSpec,
    ring: Ring | None = None,
) -> pl.DataFrame:
    """Return the `records.SFT` table of questions.

    Args:
        asked: a `records.DECOMPOSED` table, `prompted`.
        trace_mode: a name in `regimes.REGIMES`.
        seed: decides the wrong steps, together with each question's id.
        corruption: fraction of incorrect traces under `mixed`.
        classes: every class of the data set, for the choice of a wrong one.
        spec: the data set's entry.
        ring: the questions of the split; None if they are all in `asked`.

    Raises:
        TracekdError: if the regime is unknown, or a row's answer cannot be rendered.
    """
    golds = gold_steps(asked if regime(trace_mode).reads_context else _without_other_facts(asked))
    setting = Setting(seed, corruption, classes, spec.class_sentence, ring or Ring(golds, seed))
    rows = [
        _steps_and_completion(show(trace_mode, gold, setting), gold.id, answers, spec)
        for gold, answers in zip(golds, asked["answers"].to_list(), strict=True)
    ]
    made = pl.DataFrame(
        [column(name, [row[place] for row in rows], SFT[name]) for place, name in enumerate(_MADE)]
    )
    return made.with_columns(
        asked["id"], asked["system"], asked["prompt"], regime=pl.lit(trace_mode)
    ).select(list(SFT))


#: The columns that are made row by row.
_MADE = (
    *("completion", "answer_start", "shown_class", "shown_facts"),
    *("class_right", "facts_right", "note"),
)


def _steps_and_completion(
    shown: Shown, key: str, answers: list[str], spec: DatasetSpec
) -> tuple[Any, ...]:
    try:
        completion = render(shown.trace, taught_answers(answers, spec), spec.class_sentence)
    except ValueError as error:
        raise TracekdError(f"question {key}: {error}") from error
    return (
        completion.text,
        completion.answer_start,
        shown.trace.class_name,
        shown.trace.facts,
        shown.class_right,
        shown.facts_right,
        shown.note,
    )


def build_files(
    prepared: Path, decomposed: Path, target: Path, params: Params, spec: DatasetSpec
) -> dict[str, Any]:
    """Build the `records.SFT` table of every split, part by part.

    Wrong classes come from all splits.

    Args:
        prepared: folder with a `records.QUESTIONS` table for each split.
        decomposed: folder with a table for each split that holds the columns of `records.STEPS`.
        target: folder to write into.
        params: regime, seed and prompt.
        spec: the data set's entry.

    Returns:
        The manifest.

    Raises:
        TracekdError: if a question of the test split also stands in another one, if the two folders
            hold different questions, or as `build`.
    """
    sources = {
        name: _Source.of(prepared / f"{name}.parquet", decomposed / f"{name}.parquet")
        for name in SPLITS
    }
    classes = pl.concat([source.steps["question_class"] for source in sources.values()]).unique()
    make = partial(
        build,
        trace_mode=params.trace_mode,
        seed=params.seed,
        corruption=params.corruption,
        classes=tuple(sorted(classes)),
        spec=spec,
    )
    # Of three parts at a time polars reads one and packs another for the file while Python, which
    # does only one thing at a time, makes the traces of the third.
    items = [(source, start) for source in sources.values() for start in source.starts]
    asked = pools.in_threads(
        lambda item: prompted(item[0].part(item[1]), params.prompt), items, threads=1
    )
    parts = pools.watched(asked, len(items), "build-sft")
    told = {
        name: tables.write_telling(
            map(
                partial(make, ring=source.ring(params.seed)),
                itertools.islice(parts, len(source.starts)),
            ),
            target / source.questions.name,
            SFT,
            lambda part: part.select(*_TOLD, **_PROMPT_HASHES),
        )
        for name, source in sources.items()
    }
    _check_unseen(told)
    return manifest(told)


@dataclass(frozen=True)
class _Source:
    """The questions of a split, and their steps."""

    questions: Path
    starts: range
    steps: pl.DataFrame

    @classmethod
    def of(cls, questions: Path, steps: Path) -> Self:
        found = cls(questions, tables.part_starts(questions), tables.read_columns(steps, STEPS))
        ids = tables.read_columns(questions, {"id": QUESTIONS["id"]}, sealed=False)["id"]
        if not ids.equals(found.steps["id"]):
            raise TracekdError(
                f"{steps}: its questions are not those of {questions}; run decompose again "
                "(dvc repro)"
            )
        return found

    def part(self, start: int) -> pl.DataFrame:
        """Return a row group as a `records.DECOMPOSED` table."""
        part = tables.read_part(self.questions, QUESTIONS, start)
        steps = self.steps[start : start + len(part)]
        return part.hstack(steps.select("gold_facts", "answer_in_facts"))

    def ring(self, seed: int) -> Ring:
        """Return the questions of the split, each with its gold facts alone.

        Whole contexts would fill the memory, and no donor gives away more.
        """
        parts = (_without_other_facts(self.part(start)) for start in self.starts)
        return Ring((gold for part in parts for gold in gold_steps(part)), seed)


def _without_other_facts(table: pl.DataFrame) -> pl.DataFrame:
    """Return a `records.DECOMPOSED` table with the gold facts for its context."""
    facts = pl.int_ranges(pl.col("gold_facts").list.len(), dtype=pl.Int32)
    return table.with_columns(pl.col("context").list.gather(pl.col("gold_facts")), gold_facts=facts)


def manifest(splits: dict[str, pl.DataFrame]) -> dict[str, Any]:
    """Return what is true of the traces shown, per split: how many steps are right, and notes.

    Args:
        splits: the examples of each split; what else they have than `_TOLD` makes no difference.
    """
    return {
        name: {
            "examples": table.height,
            "class_step": _verdicts(table["class_right"]),
            "facts_step": _verdicts(table["facts_right"]),
            "notes": dict(sorted(Counter(table["note"].drop_nulls()).items())),
        }
        for name, table in splits.items()
    }


def told(made: dict[str, Any]) -> list[str]:
    """Return a line for each note of a `manifest`: a trace that is not what its regime promises."""
    return [
        f"{name}: {count} of {split['examples']} traces: {note}"
        for name, split in made.items()
        for note, count in split["notes"].items()
    ]


def _check_unseen(splits: dict[str, pl.DataFrame]) -> None:
    """Refuse a test split that training has seen, by id or by what the student is shown."""
    test = splits.get("test")
    for name, table in splits.items():
        if test is None or table is test:
            continue
        for key, columns in {"id": ["id"], "prompt": list(_PROMPT_HASHES)}.items():
            leaked = test.join(table, on=columns, how="semi", maintain_order="left")
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
