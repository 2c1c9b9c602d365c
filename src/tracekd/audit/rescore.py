"""Texts generated elsewhere, through exactly the scoring and the statistics of analyze.

In the release's files for CoTempQA, the answer is cut out of a text as the release does; in others,
as the grammar does. The questions of plain files come from the decompose stage.

No text is dropped silently: duplicate, missing and unknown questions are counted and named, and a
step that is read in few texts is a warning.
"""

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Any, Literal

import polars as pl

from tracekd import records
from tracekd.audit.generations import AuditSet, Key, question_key
from tracekd.config import DatasetSpec
from tracekd.errors import TracekdError
from tracekd.scoring import metrics, table
from tracekd.scoring.answers import metric_of
from tracekd.scoring.answers.cotemp import released_answer
from tracekd.traces.gold import decompose
from tracekd.traces.grammar import Grammar
from tracekd.traces.lenient import is_cut_off
from tracekd.traces.regimes import Step, regime

#: A step counts as taught if at least this share of the texts show it.
_SHOWN = 0.5
_THOUGHT = re.compile(r"<think>\s*[^\s<]", re.IGNORECASE)
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
    """Return a report on each set: questions, steps, metrics, warnings, why a number is null.

    `verdicts` is a row for each question, `corrected` by the corrected metric if there is one.

    Args:
        sets: see `tracekd.audit.generations.read_sets`.
        spec: the dataset's entry in datasets.yaml.
        facts: which of the entry's rules finds the gold facts; not with `questions`.
        questions: `records.DECOMPOSED`, all questions; required for the plain format. Without it,
            every question of any set is expected in each set.
        trace_mode: the regime; None scores the steps that at least half of a set's texts show.
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
    known = [item for item in texts.items if item.key in expected]
    if not known:
        raise TracekdError(f"{texts.name}: none of its texts belongs to a known question")
    as_released = known[0].format == "cotemp"
    rows = [
        {**row, "id": f"{row['id']} (repeat {item.repeat})"} if item.repeat else row
        for item, row in ((item, expected[item.key]) for item in known)
    ]
    questions = pl.DataFrame(rows, schema=dict(records.DECOMPOSED), orient="row")
    predictions = pl.DataFrame(
        [  # the numbers of tokens are unknown: see _without_costs
            (row["id"], 0, item.text, "length" if is_cut_off(item.text) else "stop", 0, 0)
            for row, item in zip(rows, known, strict=True)
        ],
        schema=dict(records.PREDICTIONS),
        orient="row",
    )
    steps, unscored = _steps(predictions["text"].to_list(), spec, trace_mode)
    by_grammar = table.score(questions, predictions, spec, steps)
    scores, corrected = by_grammar, metric_of(spec).corrected
    if as_released:
        scores = table.score(questions, predictions, spec, steps, released_answer)
        # The release takes the whole of a text that it cannot read; a corrected metric does not.
        scores = scores.with_columns(by_grammar.select(corrected))
    measured, undefined = metrics.report(scores, spec.answer_metric, steps)
    differs = scores.filter(scores["answer_correct"] != by_grammar["answer_correct"])["id"]
    asked = {item.key for item in texts.items}
    warnings = unscored + table.unread_steps(scores, predictions)
    if repeats := sum(item.repeat > 0 for item in known):
        again = f"{repeats} texts repeat a question and count again, unless --repeated first"
        warnings.append(again)
    return {
        "questions": {
            "scored": len(known),
            "duplicated": _named(texts.duplicated),
            "missing": _named(row["id"] for key, row in expected.items() if key not in asked),
            "unknown": _named(item.place for item in texts.items if item.key not in expected),
        },
        "steps": sorted(steps),
        "answer_read": "as released" if as_released else "by the grammar",
        "answer_differs_by_the_grammar": _named(differs),
        "warnings": warnings,
        "metrics": _without_costs(measured),
        "undefined": {path: reason for path, reason in undefined.items() if "cost" not in path},
        "verdicts": scores.select(
            "id", "question_class", "answer_correct", "trace_correct", *corrected[:1]
        ).to_dicts(),
    }


def _questions(
    sets: Sequence[AuditSet], spec: DatasetSpec, facts: FactsChoice, questions: pl.DataFrame | None
) -> dict[Key, dict[str, Any]]:
    """Return key -> row of `records.DECOMPOSED` of every expected question."""
    items = [(one.name, item) for one in sets for item in one.items]
    plain = any(item.format == "plain" for _, item in items)
    if questions is not None:
        known: dict[Key, dict[str, Any]] = {}
        for row in questions.to_dicts():
            # bAbI asks some questions again with other gold facts: the first counts.
            known.setdefault((row["id"],) if plain else question_key(row), row)
        return known
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
        if item.row is None:
            continue
        if first := rows.get(item.key):
            # bAbI asks some questions again with other gold facts: the first ones count.
            for field in ("answers", "subtype", "question_class"):
                if item.row[field] != first[field]:
                    raise TracekdError(
                        f"{name}/{item.place}: {field}: found {item.row[field]!r}, but "
                        f"{first[field]!r} for the same question at {first['id']}; audit the sets "
                        "in separate calls, or correct one"
                    )
            continue
        # Two sets may have different questions on the same line of the same file.
        key = item.place if item.place not in ids else f"{name}/{item.place}"
        ids.add(key)
        rows[item.key] = {**item.row, "id": key}
    bare = pl.DataFrame(list(rows.values()), schema=dict(records.QUESTIONS), orient="row")
    made = decompose(bare, spec.facts[facts], spec.answers)
    return dict(zip(rows, made.to_dicts(), strict=True))


def _steps(
    texts: Sequence[str], spec: DatasetSpec, trace_mode: str | None
) -> tuple[Collection[Step], list[str]]:
    """Return the steps to score, and a warning for each other one that texts show, or may show."""
    if trace_mode is not None:
        return regime(trace_mode, named_by="--trace-mode").steps, []
    grammar = Grammar(spec.class_sentence)
    traces = [grammar.read(text).trace for text in texts]
    shown: dict[Step, list[bool]] = {
        "class": [trace.class_name is not None for trace in traces],
        "facts": [trace.facts is not None for trace in traces],
    }
    steps = frozenset(step for step, found in shown.items() if sum(found) >= _SHOWN * len(texts))
    thinking = sum(_THOUGHT.search(text) is not None for text in texts) >= _SHOWN * len(texts)
    return steps, [
        f"{step} step: read in {sum(found)} of {len(texts)} outputs, so it is not scored unless "
        f"--trace-mode says so; the first without it: {table.quote(texts[found.index(False)])}"
        for step, found in shown.items()
        if step not in steps and (steps or thinking or any(found))
    ]


def _named(places: Iterable[str]) -> dict[str, Any]:
    names = list(places)
    return {"count": len(names), "names": names}


def _without_costs(measured: dict[str, Any]) -> dict[str, Any]:
    """Return metrics without those that depend on numbers of tokens and finish reasons."""
    kept = {name: value for name, value in measured.items() if name != "cost"}
    forms = ("strict", "lenient", "failed", "truncated")
    kept["format"] = {form: measured["format"][form] for form in forms}
    for groups in {"by_class", "by_leaked"} & kept.keys():
        kept[groups] = {name: _without_costs(group) for name, group in kept[groups].items()}
    return kept
