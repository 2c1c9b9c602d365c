"""Questions and what a student said of them -> the table of scores, one row per question."""

from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

import polars as pl

from tracekd import pools, records, tables
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring.answers import judge_answers, metric
from tracekd.scoring.columns import state
from tracekd.scoring.traces import Step, score_traces
from tracekd.traces.lenient import UNFINISHED
from tracekd.traces.reading import read_column

#: Columns of a table of scores that say what the student said, and to which question.
SAID = ("id", "answer", "class_predicted", "facts_predicted")
_SHOWN = 5
#: Bytes of a file of questions that take longer than other processes need to start.
_LARGE = 1 << 27


def score(
    questions: pl.DataFrame,
    predictions: pl.DataFrame,
    spec: DatasetSpec,
    steps: Collection[Step],
    answer_part: Callable[[str], str] | None = None,
) -> pl.DataFrame:
    """Return one row per question, in the order of `questions` (`records.SCORES` and the parts).

    Args:
        questions: `records.DECOMPOSED`.
        predictions: `records.PREDICTIONS`; every question once and no other.
        spec: the data set's entry in datasets.yaml.
        steps: the steps that the regime teaches.
        answer_part: cuts the answer out of a text in the grammar's place; it always finds one.

    Raises:
        TracekdError: if the predictions do not cover the questions; names the ids.
    """
    check_ids(questions["id"], predictions["id"])
    paired = questions.join(predictions, on="id", how="left", maintain_order="left")
    readings = read_column(paired["text"], spec.class_sentence)
    if answer_part is not None:
        cut = pl.Series("answer", map(answer_part, paired["text"]), dtype=pl.String)
        readings = readings.with_columns(cut, items=pl.concat_list(cut))
    said = pl.concat([paired, readings], how="horizontal")
    traces, answers = score_traces(said, steps), judge_answers(said, spec.answer_metric)
    others = said.select(
        "id",
        "question_class",
        "finish_reason",
        "completion_tokens",
        "answer",
        _trace_tokens(said),
        parse_status="form",
        answer_in_trace=state(_quoted(said["facts"]), said["answers"], spec.answers),
    )
    table = pl.concat([others, traces, answers], how="horizontal")
    return table.select(*records.SCORES, *metric(spec.answer_metric).parts)


def score_file(
    questions: Path,
    predictions: Path,
    target: Path,
    spec: DatasetSpec,
    steps: Collection[Step],
) -> pl.DataFrame:
    """Write `score` of a file of questions into another one, part by part, many on all cores.

    Args:
        questions: a `records.DECOMPOSED` table.
        predictions: a `records.PREDICTIONS` table, as for `score`.
        target: where to write.
        spec: as for `score`.
        steps: as for `score`.

    Returns:
        The verdicts: `score` without the columns `SAID`, which hold most of its memory.

    Raises:
        TracekdError: as `score`, or if a file is damaged.
    """
    large = questions.is_file() and questions.stat().st_size >= _LARGE
    if large:
        pools.start(_score_part)
    with pools.beside(partial(tables.read, predictions, records.PREDICTIONS)) as read:
        ids = tables.read_columns(questions, {"id": records.DECOMPOSED["id"]})["id"]
    said = read()
    check_ids(ids, said["id"])
    if not ids.equals(said["id"]):
        said = ids.to_frame().join(said, on="id", how="left", maintain_order="left")
    starts = range(0, max(1, len(ids)), tables.ROW_GROUP)
    items = ((start, said.slice(start, tables.ROW_GROUP)) for start in starts)
    score_part = partial(_score_part, questions, spec, steps)
    results = pools.in_order(score_part, items, parallel=large)
    scored = pools.watched(results, len(starts), questions.stem)
    parts = metric(spec.answer_metric).parts
    return tables.write_telling(
        scored, target, records.SCORES, lambda part: part.drop(SAID), extra=parts
    )


def _score_part(
    path: Path, spec: DatasetSpec, steps: Collection[Step], item: tuple[int, pl.DataFrame]
) -> pl.DataFrame:
    start, predictions = item
    return score(tables.read_part(path, records.DECOMPOSED, start), predictions, spec, steps)


def check_ids(questions: pl.Series, predictions: pl.Series) -> None:
    """Raise unless every question has exactly one prediction and every prediction a question.

    Raises:
        TracekdError: naming the first ids that are missing, repeated or unknown.
    """
    if questions.equals(predictions) and questions.n_unique() == len(questions):
        return
    asked, answered = questions.alias("id").to_frame(), predictions.alias("id").to_frame()
    faults = {
        "questions without a prediction": asked.join(answered, on="id", how="anti"),
        "predictions of unknown questions": answered.join(asked, on="id", how="anti"),
        "questions predicted more than once": answered.filter(answered.is_duplicated()),
    }
    found = {fault: set(rows["id"]) for fault, rows in faults.items()}
    lines = [f"{len(ids)} {fault}: {name_ids(ids)}" for fault, ids in found.items() if ids]
    if lines:
        raise TracekdError(
            "data/predictions.parquet: does not fit data/decomposed/test.parquet: "
            + "; ".join(lines)
            + "; run the infer stage again (dvc repro)"
        )


def name_ids(ids: Collection[str]) -> str:
    """Return the first ids in order, and how many more there are."""
    more = f", … ({len(ids) - _SHOWN} more)" if len(ids) > _SHOWN else ""
    return ", ".join(sorted(ids)[:_SHOWN]) + more


def _quoted(facts: pl.Series) -> pl.Series:
    """Return the facts of each trace, null where it says that there are none."""
    return pl.select(pl.when(facts.list.len() > 0).then(facts)).to_series()


def _trace_tokens(said: pl.DataFrame) -> pl.Series:
    """Return the tokens in front of the answer part, apportioned by characters."""
    length = pl.max_horizontal(pl.col("text").str.len_chars(), 1)
    tokens = pl.col("completion_tokens") * _answer_starts(said["text"]) / length
    return said.select(trace_tokens=tokens)["trace_tokens"]


def _answer_starts(texts: pl.Series) -> pl.Series:
    """Return how many characters, in lower case, stand in front of each answer part."""
    text, opened, closed, front = map(pl.col, ("text", "opened", "closed", "front"))
    # A tag is one in lower case: of a long s that is itself, of the sign for kelvin a k.
    found = texts.alias("text").to_frame()
    found = found.with_columns(
        opened=text.str.find("(?i-u)<answer>"),
        closed=text.str.extract(r"(?is)\A(.*)</think>").str.len_bytes(),
    )
    place = pl.coalesce(opened, closed)
    found = found.with_columns(front=text.cast(pl.Binary).bin.slice(0, place).cast(pl.String))
    # U+0130 is the one letter that is longer in lower case.
    length = front.str.len_chars() + front.str.count_matches("\u0130", literal=True)
    tag = pl.when(opened.is_null()).then(len("</think>")).otherwise(0)
    untagged = text.str.len_chars() * text.str.contains(f"(?i){UNFINISHED.pattern}")
    return found.select(pl.when(place.is_null()).then(untagged).otherwise(length + tag)).to_series()
