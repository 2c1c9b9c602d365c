"""The schema of every table that passes between stages, and how tables are read and written.

A column is present with exactly the type that its schema gives. Null means "there is none" and is
allowed only in the columns that the schema lists as nullable. Ids are unique in every table; in
`PROBES`, pairs of id and probe are, in `PREDICTIONS` pairs of id and sample, and in
`tracekd.traces.taught.TEACHER` id, kind and sample together.
"""

import io
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import polars as pl

from tracekd.errors import TracekdError
from tracekd.files import atomic_file

SPLITS = ("train", "validation", "test")
#: The columns that identify a row, where a table has them.
_KEYS = ("id", "probe", "kind", "sample")

_STRINGS = pl.List(pl.String)
_INDEXES = pl.List(pl.Int32)


class Schema(dict[str, Any]):
    """Column name -> polars type, in order; polars takes it as the schema of a frame.

    Attributes:
        nullable: names of the columns that may hold nulls.
    """

    def __init__(self, columns: Mapping[str, Any], nullable: Collection[str] = ()) -> None:
        super().__init__(columns)
        self.nullable = frozenset(nullable)


#: prepare -> decompose: one open-book question.
#:   id              "dataset/split/upstream key", unique and stable, e.g. "babi/test/qa1:37"
#:   context         the facts or passages, in upstream order; never empty
#:   answers         CoTempQA, bAbI: the items that together make the answer;
#:                   MARCO: alternative reference answers
#:   question_class  gold answer to the Classification step
#:   subtype         an upstream label that the official metric needs (CoTempQA's
#:                   `triple_element`)
#:   gold_facts      indexes into context that the dataset marks as supporting; null if it marks
#:                   none and a rule of the decompose stage finds them
#:   source          "file:line" of the raw record
QUESTIONS = Schema(
    {
        "id": pl.String,
        "question": pl.String,
        "context": _STRINGS,
        "answers": _STRINGS,
        "question_class": pl.String,
        "subtype": pl.String,
        "gold_facts": _INDEXES,
        "source": pl.String,
    },
    nullable=("subtype", "gold_facts"),
)

#: decompose -> build-sft, probe, analyze, audit: a question and the steps of its correct trace.
#:   gold_facts       gold answer to the facts step: indexes into context, in the order in which a
#:                    trace quotes them, without repetition; empty if no fact answers the question
#:   answer_in_facts  whether a gold answer occurs in the gold facts (answer leakage)
#:   leaks            what the train split gives away about a test question: "facts_in_contexts"
#:                    (all gold facts are, word for word, in contexts), "facts_taught" (all are gold
#:                    facts: the regime `correct` teaches them), "answers_taught" (the same set of
#:                    answers); null in other splits
DECOMPOSED = Schema(
    {**QUESTIONS, "answer_in_facts": pl.Boolean, "leaks": _STRINGS}, nullable=("subtype", "leaks")
)

#: build-sft -> train, infer, probe: what the student is shown.
#:   completion    trace (if any) and answer, as the grammar renders them; without EOS
#:   answer_start  character offset in `completion` at which the answer part begins
#:   shown_class, shown_facts  the steps in the trace shown (facts as text); null: step not shown
#:   filler_for    a trace: the encoder repeats the "..." of `completion` to as many tokens as this
#:                 has, and the student is given the result, never supervised; null: no filler
#:   class_right, facts_right  whether each shown step is the gold one; null: step not shown
#:   states_answer  whether the facts or the free text shown state the gold answer; null: neither
#:   note          why a trace could not be what its regime promises, else null
SFT = Schema(
    {
        "id": pl.String,
        "system": pl.String,
        "prompt": pl.String,
        "completion": pl.String,
        "answer_start": pl.Int32,
        "regime": pl.String,
        "shown_class": pl.String,
        "shown_facts": _STRINGS,
        "filler_for": pl.String,
        "class_right": pl.Boolean,
        "facts_right": pl.Boolean,
        "states_answer": pl.Boolean,
        "note": pl.String,
    },
    nullable=(
        [
            "shown_class",
            "shown_facts",
            "filler_for",
            "class_right",
            "facts_right",
            "states_answer",
            "note",
        ]
    ),
)

#: infer -> probe, analyze: the student's predictions, `infer.samples` per question.
#:   sample             0, 1, …; figures are those of sample 0 unless they are about all of them
#:   text               the generated text, special tokens removed
#:   finish_reason      "stop" (EOS), "length" (cut at max_new_tokens), "prompt_too_long" (not run)
#:   prompt_tokens, completion_tokens  counts; a filler is part of the prompt, EOS is not counted
PREDICTIONS = Schema(
    {
        "id": pl.String,
        "sample": pl.Int32,
        "text": pl.String,
        "finish_reason": pl.String,
        "prompt_tokens": pl.Int32,
        "completion_tokens": pl.Int32,
    }
)

#: probe -> analyze: the student's answer given a trace that is put in front of it; one row per
#: question and probe, none if probes are off.
#:   id, probe          the question, and a name in `tracekd.probing.plans.PROBES`
#:   trace              the trace given; the tag that opens the answer follows it
#:   text               the answer part: that tag, and the student's output after it
#:   finish_reason      as in PREDICTIONS, or "not_applicable": not run, `note` says why
#:   trace_tokens, completion_tokens  counts; the forced tag and EOS belong to neither
#:   gold_logprob       natural logarithm of the probability of the gold answer, up to the end of
#:                      its closing tag; null where not run
#:   gold_tokens        number of tokens that it sums over
#:   note               why the probe does not apply or is not what it promises, else null
PROBES = Schema(
    {
        "id": pl.String,
        "probe": pl.String,
        "trace": pl.String,
        "text": pl.String,
        "finish_reason": pl.String,
        "trace_tokens": pl.Int32,
        "completion_tokens": pl.Int32,
        "gold_logprob": pl.Float64,
        "gold_tokens": pl.Int32,
        "note": pl.String,
    },
    nullable=("gold_logprob", "note"),
)

#: analyze -> compare: one verdict per question. Further Float64 columns hold the parts of the
#: dataset's official answer metric (f1, rouge_l, ...).
#:   parse_status     "strict", "lenient" or "failed"
#:   answer           the answer as read from the text; null if none could be read
#:   answer_correct   the verdict that enters the 2x2 with the trace
#:   leaked           whether training teaches all gold facts (DECOMPOSED: "facts_taught"); null if
#:                    the training questions are unknown
#:   class_correct, facts_*, trace_correct  null if the regime does not teach the step
#:   facts_lenient    number of quoted facts that match the context only without case and
#:                    punctuation
#:   facts_unmatched  number of quoted texts that match no fact of the context (wrong facts)
#:   trace_correct    every step that the regime teaches is right, in a text that could be read
#:   answer_in_trace  whether the facts quoted in the trace, or its free text, state the gold answer
#:                    (leakage); null if there are neither
#:   trace_tokens     completion tokens before the answer part, apportioned by characters
SCORES = Schema(
    {
        "id": pl.String,
        "question_class": pl.String,
        "leaked": pl.Boolean,
        "parse_status": pl.String,
        "finish_reason": pl.String,
        "completion_tokens": pl.Int32,
        "answer": pl.String,
        "answer_correct": pl.Boolean,
        "class_predicted": pl.String,
        "class_correct": pl.Boolean,
        "facts_predicted": _INDEXES,
        "facts_precision": pl.Float64,
        "facts_recall": pl.Float64,
        "facts_f1": pl.Float64,
        "facts_exact": pl.Boolean,
        "facts_lenient": pl.Int32,
        "facts_unmatched": pl.Int32,
        "trace_correct": pl.Boolean,
        "answer_in_trace": pl.Boolean,
        "trace_tokens": pl.Float64,
    },
    nullable=(
        *("leaked", "answer", "class_predicted", "class_correct"),
        *("facts_predicted", "facts_precision", "facts_recall", "facts_f1", "facts_exact"),
        *("facts_lenient", "facts_unmatched", "trace_correct", "answer_in_trace"),
    ),
)


def read(path: Path, schema: Schema, *, extra: bool = False) -> pl.DataFrame:
    """Read a Parquet table and check it; see `check`.

    Raises:
        TracekdError: if the file is absent or damaged, or does not fit `schema`.
    """
    try:
        with path.open("rb") as source:  # by its name polars would read a whole folder
            table = pl.read_parquet(source)
    except FileNotFoundError as error:
        raise TracekdError(f"{path}: no such file; run the pipeline (dvc repro)") from error
    except (pl.exceptions.ComputeError, IsADirectoryError) as error:
        raise TracekdError(
            f"{path}: not a Parquet file ({error}); delete it and run the pipeline (dvc repro)"
        ) from error
    return check(table, schema, str(path), extra=extra)


def read_splits(root: Path = Path()) -> dict[str, pl.DataFrame]:
    """Return what decompose wrote in a checkout: `DECOMPOSED` by split."""
    return {s: read(root / f"data/decomposed/{s}.parquet", DECOMPOSED) for s in SPLITS}


def write(table: pl.DataFrame, path: Path, schema: Schema, *, extra: bool = False) -> None:
    """Check a table and write it as Parquet, completely or not at all; see `check`."""
    checked = check(table, schema, str(path), extra=extra)
    with atomic_file(path) as temporary:
        packed = io.BytesIO()  # written by Python, whose errors say what the disk lacks
        checked.write_parquet(packed, compression="zstd")
        temporary.write_bytes(packed.getbuffer())


def check(table: pl.DataFrame, schema: Schema, name: str, *, extra: bool = False) -> pl.DataFrame:
    """Return `table` with its columns in the schema's order, if it fits `schema`.

    `extra` allows further Float64 columns (the parts of an answer metric).

    Raises:
        TracekdError: naming the first column or row that does not fit.
    """
    missing = [column for column in schema if column not in table.columns]
    others = [column for column in table.columns if column not in schema]
    if missing or (others and not extra):
        raise TracekdError(
            f"{name}: columns do not fit; missing: {missing or 'none'}, unknown: {others or 'none'}"
        )
    for column, wanted in [*schema.items(), *((other, pl.Float64) for other in others)]:
        if table.schema[column] != wanted:
            raise TracekdError(
                f"{name}: column {column} has type {table.schema[column]}, expected {wanted}"
            )
    for column in schema.keys() - schema.nullable:
        if table[column].null_count():
            row = table[column].is_null().arg_true()[0]
            raise TracekdError(f"{name}: row {row}: {column} is null")
    check_unique(table.select(key for key in _KEYS if key in schema), name)
    return table.select([*schema, *others])


def check_questions(table: pl.DataFrame, name: str) -> None:
    """Raise unless every row of `QUESTIONS` has a context, an answer, and gold facts within it.

    Raises:
        TracekdError: naming the first row at fault by its id and source, and the table `name`.
    """
    gold, facts = pl.col("gold_facts"), pl.col("context").list.len()
    faults = {
        "has no context": facts == 0,
        "has no answer": pl.col("answers").list.len() == 0,
        "has gold facts outside its context": (gold.list.min() < 0) | (gold.list.max() >= facts),
    }
    for text, fault in faults.items():
        for row in table.filter(fault.fill_null(False)).head(1).iter_rows(named=True):
            raise TracekdError(
                f"{name}: {row['id']} ({row['source']}) {text}; found gold facts "
                f"{row['gold_facts']} of {len(row['context'])} facts and answers {row['answers']}; "
                "the reader must reject such a record or repair it"
            )


def check_unique(keys: pl.DataFrame, name: str) -> None:
    """Raise unless every row differs from all others.

    Raises:
        TracekdError: naming the first duplicate row, and the table `name`.
    """
    repeated = keys.is_duplicated()
    if repeated.any():
        first = " ".join(map(repr, keys.filter(repeated).row(0)))
        raise TracekdError(f"{name}: duplicate {' and '.join(keys.columns)} {first}")
