"""The official answer metrics by name (`answer_metric` in datasets.yaml)."""

import polars as pl

from tracekd.errors import TracekdError, nearest
from tracekd.scoring.answers import cotemp as cotemp_metric
from tracekd.scoring.answers import exact_match
from tracekd.scoring.answers import marco as marco_metric
from tracekd.scoring.attempt import AnswerMetric, Attempt, Verdict

METRICS: dict[str, AnswerMetric] = {
    "exact_match": AnswerMetric(exact_match.PARTS, exact_match.judge, reads_context=False),
    "cotemp": AnswerMetric(cotemp_metric.PARTS, cotemp_metric.judge),
    "marco": AnswerMetric(
        marco_metric.PARTS,
        marco_metric.judge,
        marco_metric.figures,
        judge_all=marco_metric.judge_all,
    ),
}


def metric(name: str) -> AnswerMetric:
    """Return the answer metric of that name.

    Raises:
        TracekdError: naming the nearest metrics.
    """
    if name not in METRICS:
        raise TracekdError(
            f"datasets.yaml: answer_metric: unknown metric {name!r}; {nearest(name, METRICS)} "
            "(an own one: src/tracekd/scoring/answers/__init__.py)"
        )
    return METRICS[name]


def judge_answers(said: pl.DataFrame, name: str) -> pl.DataFrame:
    """Return `answer_correct` and the parts of a metric, each a Float64 column.

    Args:
        said: id, question, context, answers and subtype as in `records.QUESTIONS`; answer and
            items as in `tracekd.traces.reading.READINGS`.
        name: see `metric`.

    Raises:
        TracekdError: naming a question that the metric cannot score.
    """
    chosen = metric(name)
    verdicts = chosen.judge_all(said) if chosen.judge_all else _judge_each(said, chosen)
    # A metric may find what it looks for in nothing; no answer is never right.
    right = verdicts["correct"] & said["answer"].is_not_null()
    return verdicts.select(right.alias("answer_correct"), *chosen.parts)


def _judged(chosen: AnswerMetric, key: str, attempt: Attempt) -> Verdict:
    try:
        return chosen.judge(attempt)
    except ValueError as error:
        raise TracekdError(f"{key}: the answer cannot be scored: {error}") from error


def _judge_each(said: pl.DataFrame, chosen: AnswerMetric) -> pl.DataFrame:
    contexts = said["context"].to_list() if chosen.reads_context else [()] * said.height
    gold, subtypes, items = (said[name].to_list() for name in ("answers", "subtype", "items"))
    texts = said["answer"].fill_null("")
    attempts = zip(said["question"], contexts, gold, subtypes, texts, items, strict=True)
    ids = said["id"].to_list()
    verdicts = [
        _judged(chosen, key, Attempt(*parts)) for key, parts in zip(ids, attempts, strict=True)
    ]
    columns = {part: [verdict.parts[part] for verdict in verdicts] for part in chosen.parts}
    schema = {"correct": pl.Boolean, **dict.fromkeys(chosen.parts, pl.Float64)}
    correct = [verdict.correct for verdict in verdicts]
    return pl.DataFrame({"correct": correct, **columns}, schema=schema)
