"""Texts generated elsewhere, through exactly the scoring and the statistics of analyze.

In the formats of the paper's release, the answer is cut out of a text as the release does; in plain
files, as the grammar does, and the questions come from the decompose stage.

No text is dropped silently: duplicate, missing and unknown questions are counted and named.
"""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import polars as pl

from tracekd import records
from tracekd.audit.generations import AuditSet, Key
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring import metrics, table
from tracekd.scoring.answers.cotemp import released_answer
from tracekd.scoring.traces import Step
from tracekd.traces.gold import decompose
from tracekd.traces.grammar import Grammar
from tracekd.traces.regimes import regime

#: A step counts as taught if at least this share of the texts show it.
_SHOWN = 0.5
#: The words of the class step in the release for bAbI.
_BABI_CLASS_SENTENCE = "The category of the question asked is: {class}."
FactsChoice = Literal["paper", "full"]
DEFAULT_FACTS: FactsChoice = "paper"


def audit(
    sets: Sequence[AuditSet],
    spec: DatasetSpec,
    *,
    facts: FactsChoice | None = None,
    questions: pl.DataFrame | None = None,
    trace_mode: str | None = None,
) -> dict[str, Any]:
    """Return a report on each set: questions, steps, metrics, and why a number is null.

    Args:
        sets: see `tracekd.audit.generations.read_sets`.
        spec: the dataset's entry in datasets.yaml.
        facts: which of the entry's rules finds the gold facts; None is `DEFAULT_FACTS`. Not with
            `questions`, which have gold facts.
        questions: `records.DECOMPOSED`, all questions; required for the plain format. Without it,
            every question of any set is expected in each set.
        trace_mode: the regime; None scores the steps that at least half of a set's texts show.

    Raises:
        TracekdError: if the arguments do not fit each other.
    """
    if facts is not None and questions is not None:
        raise TracekdError(
            "--facts: the table of --questions already has gold facts, found when it was made "
            "(decompose.facts in params.yaml); omit one of the two options"
        )
    expected = _questions(sets, spec, facts or DEFAULT_FACTS, questions)
    return {one.name: _report(one, spec, expected, trace_mode) for one in sets}


def _report(
    texts: AuditSet, spec: DatasetSpec, expected: dict[Key, dict[str, Any]], trace_mode: str | None
) -> dict[str, Any]:
    known = {key: item for key, item in texts.items.items() if key in expected}
    if not known:
        raise TracekdError(f"{texts.name}: none of its texts belongs to a known question")
    form = next(iter(known.values())).format
    if form == "babi":
        spec = spec.model_copy(update={"class_sentence": _BABI_CLASS_SENTENCE})
    rows = [expected[key] for key in known]
    questions = pl.DataFrame(rows, schema=dict(records.DECOMPOSED), orient="row")
    predictions = pl.DataFrame(
        [  # the numbers of tokens are unknown: see _without_costs
            (row["id"], item.text, "stop", 0, 0)
            for row, item in zip(rows, known.values(), strict=True)
        ],
        schema=dict(records.PREDICTIONS),
        orient="row",
    )
    steps = _steps(predictions["text"], spec, trace_mode)
    by_grammar = table.score(questions, predictions, spec, steps)
    scores = by_grammar
    if form != "plain":
        scores = table.score(questions, predictions, spec, steps, released_answer)
    measured, undefined = metrics.report(scores, spec.answer_metric, steps)
    differs = scores.filter(scores["answer_correct"] != by_grammar["answer_correct"])["id"]
    return {
        "questions": {
            "scored": len(known),
            "duplicated": _named(texts.duplicated),
            "missing": _named(expected[key]["id"] for key in expected if key not in known),
            "unknown": _named(i.place for key, i in texts.items.items() if key not in expected),
        },
        "steps": sorted(steps),
        "answer_read": "by the grammar" if form == "plain" else "as released",
        "answer_differs_by_the_grammar": _named(differs),
        "metrics": _without_costs(measured),
        "undefined": {path: reason for path, reason in undefined.items() if "cost" not in path},
    }


def _questions(
    sets: Sequence[AuditSet], spec: DatasetSpec, facts: FactsChoice, questions: pl.DataFrame | None
) -> dict[Key, dict[str, Any]]:
    """Return key -> row of `records.DECOMPOSED` of every expected question."""
    items = [(one.name, item) for one in sets for item in one.items.values()]
    plain = any(item.format == "plain" for _, item in items)
    if questions is not None:
        return {(row["id"],) if plain else _key(row): row for row in questions.to_dicts()}
    if plain:
        raise TracekdError(
            "plain files (id, text) need the questions: add --questions "
            "data/decomposed/test.parquet"
        )
    if facts not in spec.facts:
        raise TracekdError(f"datasets.yaml: {spec.name}: facts: has no rule for {facts!r}")
    rows: dict[Key, dict[str, Any]] = {}
    ids: set[str] = set()
    for name, item in items:
        if item.row is None or item.key in rows:
            continue
        # Two sets may have different questions on the same line of the same file.
        key = item.place if item.place not in ids else f"{name}/{item.place}"
        ids.add(key)
        rows[item.key] = {**item.row, "id": key}
    bare = pl.DataFrame(list(rows.values()), schema=dict(records.QUESTIONS), orient="row")
    made = decompose(bare, spec.facts[facts], spec.answers)
    return dict(zip(rows, made.to_dicts(), strict=True))


def _key(row: dict[str, Any]) -> Key:
    return (row["question_class"], row["question"], *row["context"])


def _steps(texts: Iterable[str], spec: DatasetSpec, trace_mode: str | None) -> Collection[Step]:
    if trace_mode is not None:
        return regime(trace_mode, named_by="--trace-mode").steps
    grammar = Grammar(spec.class_sentence)
    traces = [grammar.read(text).trace for text in texts]
    shown: dict[Step, int] = {
        "class": sum(trace.class_name is not None for trace in traces),
        "facts": sum(trace.facts is not None for trace in traces),
    }
    return frozenset(step for step, times in shown.items() if times >= _SHOWN * len(traces))


def _named(places: Iterable[str]) -> dict[str, Any]:
    names = list(places)
    return {"count": len(names), "names": names}


def _without_costs(measured: dict[str, Any]) -> dict[str, Any]:
    """Return metrics without those that depend on numbers of tokens and finish reasons."""
    kept = {name: value for name, value in measured.items() if name != "cost"}
    forms = ("strict", "lenient", "failed")
    kept["format"] = {form: measured["format"][form] for form in forms}
    for groups in {"by_class", "by_leaked"} & kept.keys():
        kept[groups] = {name: _without_costs(group) for name, group in kept[groups].items()}
    return kept
