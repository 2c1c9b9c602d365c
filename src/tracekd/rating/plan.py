"""Which rater reads which trace: counterbalanced, blinded, in random order; and the key to it.

The page knows traces by ids that carry nothing. The key, which stays with the researcher, maps them
to questions and trace types. Both are pure functions of rating.yaml and the traces.
"""

import hashlib
import json
from collections.abc import Mapping
from itertools import product
from typing import Any

import polars as pl

from tracekd import randomness
from tracekd.datasets.splits import stratified_order
from tracekd.errors import TracekdError
from tracekd.rating.settings import RatingSettings

#: Question id -> a trace, and the answer that follows it.
Traces = Mapping[str, tuple[str, str]]

_CHECK = (
    "This is not about a question. It checks that you are reading: please choose {value} for every "
    "statement below."
)


def assign(raters: int, sets: int, questions: int, types: int) -> list[list[tuple[int, int]]]:
    """Return the (question, type) pairs that each rater reads.

    Raters take turns with the sets of questions, and within a set with the rows of a cyclic Latin
    square. A rater reads each question of the set once and, if `questions` is a multiple of
    `types`, each type equally often. Numbers of raters of any two pairs differ by at most one.
    """
    return [
        [
            (rater % sets * questions + place, (place + rater // sets) % types)
            for place in range(questions)
        ]
        for rater in range(raters)
    ]


def make_plan(
    settings: RatingSettings, dataset: str, questions: pl.DataFrame, traces: Mapping[str, Traces]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return what the page contains, and the key; both have the `checksum` of the whole plan.

    From `questions` (`records.DECOMPOSED`), some are chosen that have a trace of every type.

    Raises:
        TracekdError: if too few questions have a trace of every type.
    """
    chosen = _choose(settings, questions, traces)
    seed, types, values = settings.seed, settings.types, range(1, settings.points + 1)
    pairs = list(product(range(len(chosen)), range(len(types))))
    width = len(pairs) + settings.attention_checks
    numbers = randomness.shuffled(range(1, width + 1), seed, "rating", "ids")
    ids = [f"t{number:0{len(str(width))}}" for number in numbers]
    of_pair, of_checks = dict(zip(pairs, ids, strict=False)), ids[len(pairs) :]
    checks = {one: randomness.choose(values, seed, "rating", "check", one) for one in of_checks}
    # Place in `questions`, trace, answer.
    shown: dict[str, list[Any]] = {
        one: [None, _CHECK.format(value=value), ""] for one, value in checks.items()
    }
    for (place, number), one in of_pair.items():
        trace, answer = traces[types[number]][chosen[place]["id"]]
        shown[one] = [place, trace, answer if settings.show_answer else ""]
    rows = assign(settings.raters, settings.sets, settings.questions, len(types))
    slots = [
        randomness.shuffled([*(of_pair[pair] for pair in row), *checks], seed, "order", slot)
        for slot, row in enumerate(rows, start=1)
    ]
    page = {
        "questions": [[row["question"], row["context"]] for row in chosen],
        "traces": dict(sorted(shown.items())),
        "slots": slots,
    }
    key = {
        "dataset": dataset,
        "settings": settings.model_dump(),
        "traces": {one: [chosen[place]["id"], types[n]] for (place, n), one in of_pair.items()},
        "checks": checks,
        "slots": slots,
    }
    checksum = hashlib.sha256(json.dumps([page, key]).encode()).hexdigest()
    return {"checksum": checksum, **page}, {"checksum": checksum, **key}


def _choose(
    settings: RatingSettings, questions: pl.DataFrame, traces: Mapping[str, Traces]
) -> list[dict[str, Any]]:
    """Return the questions of all sets, each stratified by class and in random order."""
    needed = settings.sets * settings.questions
    fit = questions.filter(pl.col("id").is_in(list(set.intersection(*map(set, traces.values())))))
    if fit.height < needed:
        counts = ", ".join(f"{name} {len(found)}" for name, found in traces.items())
        raise TracekdError(
            f"rating.yaml: questions x sets is {needed}, but only {fit.height} test questions have "
            f"a trace of every type ({counts}); lower it, or raise params.yaml: prepare.test"
        )
    rows = fit[stratified_order(fit, settings.seed)[:needed]].to_dicts()
    firsts = range(0, needed, settings.questions)
    sets = [rows[first : first + settings.questions] for first in firsts]
    return [row for one in sets for row in randomness.shuffled(one, settings.seed, "rating", "set")]
