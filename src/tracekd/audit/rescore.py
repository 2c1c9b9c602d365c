"""Generations that were made elsewhere, through exactly the scoring and statistics of analyze.

Which files they are read from: `tracekd.audit.generations`. Of records, the answer is cut out as
the paper's release does; of plain generations, as the grammar does, and their questions come from
the decompose stage's table.

No generation is dropped in silence: those that repeat a question, have none, or leave one out are
counted and named. Of a repeated question the first generation counts.
"""

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Literal

import polars as pl

from tracekd import records
from tracekd.audit.generations import Generations, Key
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring import metrics, table
from tracekd.scoring.answers import cotemp as cotemp_metric
from tracekd.scoring.traces import Step
from tracekd.traces.gold import decompose
from tracekd.traces.reading import read
from tracekd.traces.regimes import regime

#: A step counts as taught if at least this share of the texts show it.
SHOWN = 0.5

Facts = Literal["paper", "full"]
#: Finds the gold facts of records if no other rule is asked for.
PAPER: Facts = "paper"


def audit(
    sets: Sequence[Generations],
    spec: DatasetSpec,
    *,
    facts: Facts | None = None,
    questions: pl.DataFrame | None = None,
    trace_mode: str | None = None,
) -> dict[str, Any]:
    """Return a report on each set: questions, steps, metrics, and why a number is null.

    Args:
        sets: see `tracekd.audit.generations.read_sets`.
        spec: the data set's entry in datasets.yaml.
        facts: which rule of the entry finds the gold facts of records; None is `PAPER`. Not to be
            given with `questions`, which have theirs already.
        questions: `records.DECOMPOSED`, which questions there are. Needed for the plain format. In
            its absence every question of any set counts as one that each set should have.
        trace_mode: the regime; None scores the steps that at least half of a set's texts show.

    Raises:
        TracekdError: saying what does not fit together, and what to do.
    """
    if facts is not None and questions is not None:
        raise TracekdError(
            "--facts: the table of --questions has gold facts already, found when it was made "
            "(decompose.facts in params.yaml); leave out one of the two"
        )
    asked = _asked(sets, spec, facts or PAPER, questions)
    return {found.name: _report(found, spec, asked, trace_mode) for found in sets}


def _report(
    found: Generations, spec: DatasetSpec, asked: dict[Key, dict[str, Any]], trace_mode: str | None
) -> dict[str, Any]:
    known = {key: item for key, item in found.items.items() if key in asked}
    if not known:
        raise TracekdError(f"{found.name}: none of its generations answers a known question")
    released = next(iter(known.values())).row is not None
    rows = [asked[key] for key in known]
    scored_questions = pl.DataFrame(rows, schema=dict(records.DECOMPOSED), orient="row")
    predictions = _predictions(rows, [item.text for item in known.values()])
    steps = _steps(predictions["text"], spec, trace_mode)
    score = _scorer(scored_questions, predictions, spec, steps)
    own = score(None)
    scores = score(cotemp_metric.released_answer) if released else own
    measured, notes = metrics.report(scores, spec.answer_metric, steps)
    differs = scores.filter(scores["answer_correct"] != own["answer_correct"])["id"].to_list()
    return {
        "questions": {
            "scored": len(known),
            "duplicated": _named(found.duplicated),
            "missing": _named(asked[key]["id"] for key in asked if key not in known),
            "unknown": _named(i.place for k, i in found.items.items() if k not in asked),
        },
        "steps": sorted(steps),
        "answer_read": "as released" if released else "by the grammar",
        "answer_differs_by_the_grammar": _named(differs),
        "metrics": _without_costs(measured),
        "notes": {path: reason for path, reason in notes.items() if "cost" not in path},
    }


def _scorer(
    questions: pl.DataFrame,
    predictions: pl.DataFrame,
    spec: DatasetSpec,
    steps: Collection[Step],
) -> Callable[[Callable[[str], str] | None], pl.DataFrame]:
    return lambda answer_part: table.score(questions, predictions, spec, steps, answer_part)


def _asked(
    sets: Sequence[Generations],
    spec: DatasetSpec,
    facts: Facts,
    questions: pl.DataFrame | None,
) -> dict[Key, dict[str, Any]]:
    """Return key -> row of `records.DECOMPOSED` of every question there is."""
    plain = any(item.row is None for found in sets for item in found.items.values())
    if questions is not None:
        return {(row["id"],) if plain else _key(row): row for row in questions.to_dicts()}
    if plain:
        raise TracekdError(
            "generations with ids need the questions: name the table of the decompose stage with "
            "--questions"
        )
    if facts not in spec.facts:
        raise TracekdError(f"datasets.yaml: facts: this data set has no rule for {facts!r}")
    rows: dict[Key, dict[str, Any]] = {}
    ids: set[str] = set()
    for found in sets:
        for key, item in found.items.items():
            if item.row is None or key in rows:
                continue
            # Two sets may have different questions on the same line of the same file.
            name = item.place if item.place not in ids else f"{found.name}/{item.place}"
            ids.add(name)
            rows[key] = {**item.row, "id": name}
    bare = pl.DataFrame(list(rows.values()), schema=dict(records.QUESTIONS), orient="row")
    made = decompose(bare, spec.facts[facts], spec.answers)
    return dict(zip(rows, made.to_dicts(), strict=True))


def _key(row: dict[str, Any]) -> Key:
    return (row["question_class"], row["question"], *row["context"])


def _predictions(rows: Sequence[dict[str, Any]], texts: Sequence[str]) -> pl.DataFrame:
    made = [
        (row["id"], text, "stop", 0, 0)  # no token counts are known: see _without_costs
        for row, text in zip(rows, texts, strict=True)
    ]
    return pl.DataFrame(made, schema=dict(records.PREDICTIONS), orient="row")


def _steps(texts: pl.Series, spec: DatasetSpec, trace_mode: str | None) -> frozenset[Step]:
    if trace_mode is not None:
        return regime(trace_mode, named_by="--trace-mode").steps
    traces = [read(text, spec.class_sentence).trace for text in texts]
    shown: dict[Step, int] = {
        "class": sum(trace.class_name is not None for trace in traces),
        "facts": sum(trace.facts is not None for trace in traces),
    }
    return frozenset(step for step, times in shown.items() if times >= SHOWN * len(traces))


def _named(places: Iterable[str]) -> dict[str, Any]:
    names = list(places)
    return {"count": len(names), "names": names}


def _without_costs(measured: dict[str, Any]) -> dict[str, Any]:
    """Return metrics without what depends on token counts and reasons for stopping."""
    kept = {name: value for name, value in measured.items() if name != "cost"}
    forms = ("strict", "lenient", "failed")
    kept["format"] = {form: measured["format"][form] for form in forms}
    if "by_class" in kept:
        kept["by_class"] = {name: _without_costs(g) for name, g in kept["by_class"].items()}
    return kept
