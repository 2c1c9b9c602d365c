"""The official answer metrics by name (`answer_metric` in datasets.yaml)."""

from tracekd.errors import TracekdError, nearest
from tracekd.scoring import cotemp_metric, exact_match, marco_metric
from tracekd.scoring.attempt import AnswerMetric

METRICS: dict[str, AnswerMetric] = {
    "exact_match": AnswerMetric(exact_match.PARTS, exact_match.judge),
    "cotemp": AnswerMetric(cotemp_metric.PARTS, cotemp_metric.judge),
    "marco": AnswerMetric(marco_metric.PARTS, marco_metric.judge, marco_metric.figures),
}


def metric(name: str) -> AnswerMetric:
    """Return the answer metric of that name.

    Raises:
        TracekdError: naming the nearest metrics.
    """
    if name not in METRICS:
        raise TracekdError(
            f"datasets.yaml: answer_metric: unknown metric {name!r}; {nearest(name, METRICS)}"
        )
    return METRICS[name]
