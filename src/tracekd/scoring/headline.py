"""details.json -> metrics.json: at most 25 numbers, what `dvc metrics diff` shows on one screen."""

import operator
from collections.abc import Mapping
from functools import reduce
from typing import Any

from tracekd.scoring.answers import metric

_WITHIN = "intervals.link.trace.risk_difference_within_classes"
#: Key in metrics.json -> path in details.json. `low` and `high` are the 95 % interval of the number
#: before. The main figures of the dataset's answer metric are added to `answer`.
_MAIN = {
    "n": "n",  # test questions
    "answer.accuracy": "answer.accuracy",
    "answer.low": "intervals.answer.accuracy.low",
    "answer.high": "intervals.answer.accuracy.high",
    "class.accuracy": "class.accuracy",
    "facts.exact": "facts.exact",  # share of questions with exactly the right facts
    "facts.f1": "facts.f1",
    "trace.accuracy": "trace.accuracy",  # every taught step right: trace exact match
    "trace.states_answer": "leakage.states_answer",  # of traces with facts: leakage
    # Share of right answers given a right trace, and given a wrong one; the first minus the second.
    "association.p_answer_if_right": "link.trace.p_answer_if_right",
    "association.p_answer_if_wrong": "link.trace.p_answer_if_wrong",
    "association.difference": "link.trace.risk_difference",
    "association.low": "link.trace.risk_difference_low",
    "association.high": "link.trace.risk_difference_high",
    # The same difference, pooled within classes.
    "association.within_classes": "link.trace.within_classes.risk_difference",
    "association.within_low": f"{_WITHIN}.low",
    "association.within_high": f"{_WITHIN}.high",
    "output.failed": "format.failed",  # share of texts from which no answer could be read
    "output.truncated": "format.truncated",  # share cut off at `infer.max_new_tokens`
    "output.tokens": "cost.completion_tokens",
    # Answer accuracy given the gold, an incorrect, and an empty trace.
    "probes.gold": "probes.by_probe.gold.accuracy",
    "probes.incorrect": "probes.by_probe.incorrect.accuracy",
    "probes.empty": "probes.by_probe.empty.accuracy",
}


def headline(details: Mapping[str, Any], answer_metric: str) -> dict[str, Any]:
    """Return the content of metrics.json, given that of details.json.

    A key is left out if the regime does not teach the step, or if probes are off.
    """
    shown = _MAIN | {f"answer.{name}": f"answer.{name}" for name in metric(answer_metric).main}
    main: dict[str, Any] = {}
    for key, path in shown.items():
        try:
            value = reduce(operator.getitem, path.split("."), details)
        except KeyError:
            continue
        section, _, name = key.rpartition(".")
        (main.setdefault(section, {}) if section else main)[name] = value
    return main
