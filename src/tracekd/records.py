"""The schema of every table that passes between stages, and the check at each door.

`tracekd.tables` reads and writes them. A column listed in a schema is present with exactly that
type; `NULLABLE` names the columns in which null means "there is none". Ids are unique in every
table; in `PROBES` id and probe together are.
"""

from collections.abc import Mapping

import polars as pl

from tracekd.errors import TracekdError

SPLITS = ("train", "validation", "test")

_STRINGS = pl.List(pl.String)
_INDEXES = pl.List(pl.Int32)

Schema = Mapping[str, pl.DataType | type[pl.DataType]]

#: prepare -> decompose: one open-book question.
#:   id              "dataset/split/upstream key", unique and stable, e.g. "babi/test/qa1:37"
#:   context         the facts or passages, in upstream order; never empty
#:   answers         CoTempQA, bAbI: the items that together make the answer;
#:                   MARCO: alternative reference answers
#:   question_class  gold answer to the Classification step
#:   subtype         an upstream label that the official metric needs (CoTempQA's
#:                   `triple_element`); null elsewhere
#:   gold_facts      indexes into context that upstream (or the simulator) marks as supporting;
#:                   null where upstream marks none and a rule of the decompose stage finds them
#:   source          "file:line" of the raw record
QUESTIONS: Schema = {
    "id": pl.String,
    "question": pl.String,
    "context": _STRINGS,
    "answers": _STRINGS,
    "question_class": pl.String,
    "subtype": pl.String,
    "gold_facts": _INDEXES,
    "source": pl.String,
}

#: decompose -> build-sft: the steps of a question's correct trace.
#:   question_class   as in QUESTIONS
#:   step_facts       gold answer to the Information Retrieval step: indexes into context, in the
#:                    order in which a trace quotes them, without repetition; empty where no fact
#:                    answers (an unanswerable question)
#:   answer_in_facts  whether a gold answer string stands in the gold facts (answer leakage)
STEPS: Schema = {
    "id": pl.String,
    "question_class": pl.String,
    "step_facts": _INDEXES,
    "answer_in_facts": pl.Boolean,
}

#: decompose -> infer, analyze, audit: a test question and its steps. The other splits, which are
#: most of the data, have STEPS alone: their contexts are not written a second time.
DECOMPOSED: Schema = {**QUESTIONS, **STEPS}

#: build-sft -> train, infer: what the student is shown.
#:   completion    trace (if any) and answer, as the grammar renders them; without EOS
#:   answer_start  character offset in `completion` at which the answer part begins
#:   shown_class, shown_facts  the steps in the trace shown (facts as text); null: step not shown
#:   class_right, facts_right  whether each shown step is the gold one; null: step not shown
#:   note          why a corruption could not be what its regime promises, else null
SFT: Schema = {
    "id": pl.String,
    "system": pl.String,
    "prompt": pl.String,
    "completion": pl.String,
    "answer_start": pl.Int32,
    "regime": pl.String,
    "shown_class": pl.String,
    "shown_facts": _STRINGS,
    "class_right": pl.Boolean,
    "facts_right": pl.Boolean,
    "note": pl.String,
}

#: infer -> analyze: what the student said.
#:   text               the generated text, special tokens removed
#:   finish_reason      "stop" (EOS), "length" (cut at max_new_tokens), "prompt_too_long" (not run)
#:   prompt_tokens, completion_tokens  counts; the completion's EOS is not counted
PREDICTIONS: Schema = {
    "id": pl.String,
    "text": pl.String,
    "finish_reason": pl.String,
    "prompt_tokens": pl.Int32,
    "completion_tokens": pl.Int32,
}

#: infer -> analyze: what the student said to a trace put in front of its answer; one row per
#: question and probe, no row if probes are off.
#:   id, probe          the question, and a name in `tracekd.probes.plans.PROBES`
#:   trace              the text put in front; the tag that opens the answer follows it
#:   text               the answer part: that tag, and what the student said after it
#:   finish_reason      as in PREDICTIONS, or "not_applicable": not run, `note` says why
#:   trace_tokens, completion_tokens  counts; the forced tag and EOS belong to neither
#:   gold_logprob       natural logarithm of the probability that the gold answer follows, to the
#:                      end of its closing tag; null where not run
#:   gold_tokens        of how many tokens it is the sum
#:   note               why the probe could not be what it promises, else null
PROBES: Schema = {
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
}
#: The columns that tell a row from all others, where a table has them.
KEYS = ("id", "probe")

#: analyze -> compare: one verdict per question. Further Float64 columns hold the parts of the data
#: set's official answer metric (f1, rouge_l, ...).
#:   parse_status    "strict", "lenient" or "failed"
#:   answer          the answer as read from the text; null if none could be read
#:   answer_correct  the verdict that enters the 2x2 with the trace
#:   class_correct, facts_*, trace_correct  null where the regime teaches no such step
#:   facts_lenient    quoted facts that match one of the context only without case and punctuation
#:   facts_unmatched  quoted texts that stand in no fact of the context (counted as wrong facts)
#:   trace_correct    every step that the regime teaches is right, in a text that could be read
#:   answer_in_trace  whether the facts quoted in the trace state the gold answer (leakage); null
#:                    where no facts were quoted
#:   trace_tokens     completion tokens in front of the answer part, apportioned by characters
SCORES: Schema = {
    "id": pl.String,
    "question_class": pl.String,
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
}

NULLABLE = frozenset(
    {
        "subtype",
        "gold_facts",
        "shown_class",
        "shown_facts",
        "class_right",
        "facts_right",
        "note",
        "answer",
        "class_predicted",
        "class_correct",
        "facts_predicted",
        "facts_precision",
        "facts_recall",
        "facts_f1",
        "facts_exact",
        "facts_lenient",
        "facts_unmatched",
        "trace_correct",
        "answer_in_trace",
        "gold_logprob",
    }
)


def check(table: pl.DataFrame, schema: Schema, name: str, *, extra: bool = False) -> pl.DataFrame:
    """Return `table` if it fits `schema`, with its columns in the schema's order.

    Args:
        table: rows that are about to enter or leave a stage.
        schema: one of this module's schemas.
        name: what error messages call the table, usually its path.
        extra: allow further Float64 columns (the parts of an answer metric).

    Raises:
        TracekdError: naming the first column or row that does not fit.
    """
    missing = [column for column in schema if column not in table.columns]
    others = [column for column in table.columns if column not in schema]
    if missing or (others and not extra):
        raise TracekdError(
            f"{name}: columns do not fit; missing: {missing or 'none'}, unknown: {others or 'none'}"
        )
    for column, wanted in schema.items():
        if table.schema[column] != wanted:
            raise TracekdError(
                f"{name}: column {column} has type {table.schema[column]}, expected {wanted}"
            )
        if column not in NULLABLE and table[column].null_count():
            row = table[column].is_null().arg_true()[0]
            raise TracekdError(f"{name}: row {row}: {column} is null")
    for column in others:
        if table.schema[column] != pl.Float64:
            raise TracekdError(f"{name}: extra column {column} must be Float64")
    check_unique(table.select(key for key in KEYS if key in schema), name)
    return table.select([*schema, *others])


def check_questions(table: pl.DataFrame, name: str) -> None:
    """Raise unless every row of `QUESTIONS` has a context, an answer, and gold facts in it.

    Raises:
        TracekdError: naming the first row at fault by its id and source, and the table `name`.
    """
    gold, facts = pl.col("gold_facts"), pl.col("context").list.len()
    faults = {
        "has no context": facts == 0,
        "has no answer": pl.col("answers").list.len() == 0,
        "has gold facts outside its context": (gold.list.min() < 0) | (gold.list.max() >= facts),
    }
    found = table.select(fault.fill_null(False).alias(text) for text, fault in faults.items())
    for text in faults:
        if found[text].any():
            row = table.row(found[text].arg_true()[0], named=True)
            raise TracekdError(
                f"{name}: {row['id']} ({row['source']}) {text}; found {row['gold_facts']} of "
                f"{len(row['context'])} facts and answers {row['answers']}; the reader must reject "
                "such a record, or mend it"
            )


def check_unique(keys: pl.DataFrame, name: str) -> None:
    """Raise unless every row differs from all others.

    Raises:
        TracekdError: naming the first row that stands there twice, and the table `name`.
    """
    repeated = keys.is_duplicated()
    if repeated.any():
        first = " ".join(map(repr, keys.filter(repeated).row(0)))
        raise TracekdError(f"{name}: {' and '.join(keys.columns)} {first} stands there twice")
