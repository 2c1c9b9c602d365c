"""Invented experiments for a page: stories, students of three regimes, probes, a comparison."""

from functools import cache
from pathlib import Path

import polars as pl
from tables import BABI, completion, prediction, predictions, question, questions

from tracekd import randomness, records
from tracekd.comparison.cells import Cell
from tracekd.comparison.effects import BASELINES
from tracekd.comparison.locks import DosedRegime, Replicate
from tracekd.comparison.results import evaluate, paired_effects
from tracekd.comparison.scores import CellScores, stack
from tracekd.config import load_params
from tracekd.report.contents import Contents, losses_of
from tracekd.report.details import scores_and_details
from tracekd.scoring.table import score
from tracekd.statistics.values import settle
from tracekd.traces.regimes import steps_shown
from tracekd.traces.taught import TEACHER

PARAMS = load_params(Path(__file__).resolve().parents[2] / "params.yaml")
CLASSES = ("where", "who", "counting")
CARD = {
    "train": {"steps": 9, "training_seconds": 12.5},
    "infer": {"made_from": {"machine": {"device_name": "abacus"}}},
}


def story(number, facts=6):
    """A question about the last of some facts."""
    names = [f"Person {number}-{fact}" for fact in range(facts)]
    return question(
        f"worlds/test/{number:05}",
        question=f"Where is {names[-1]}?",
        context=[f"{name} went to room {number + fact}." for fact, name in enumerate(names)],
        answers=[f"room {number + facts - 1}"],
        question_class=CLASSES[number % len(CLASSES)],
        gold_facts=[facts - 1],
        leaks=["facts_taught"] if number % 5 == 0 else [],
    )


def output(row, regime, seed):
    """What a student writes: it is right more often where it was taught right traces."""
    drawn = [randomness.uniform(seed, regime, row["id"], step) for step in range(3)]
    right = drawn[0] < (0.7 if regime == "correct" else 0.3)
    answer = row["answers"][0] if right else "attic"
    if regime == "none":
        return f"<answer>{answer}</answer>"
    facts = [row["context"][-1 if right == (drawn[1] < 0.8) else 0]]
    if drawn[2] < 0.3:
        facts.append("Nobody went anywhere.")
    return completion(row["question_class"], facts, answer)


def probes_of(rows):
    """A probe that was run and one that was not, for each question."""
    shared = {"finish_reason": "stop", "trace_tokens": 9, "completion_tokens": 4, "gold_tokens": 3}
    made = []
    for row in rows:
        given = {"id": row["id"], **shared, "text": f"<answer>{row['answers'][0]}</answer>"}
        trace = completion(row["question_class"], row["context"][-1:], "").split("<answer>")[0]
        made.append({**given, "probe": "gold", "trace": trace, "gold_logprob": -0.25})
        idle = {"trace": "", "text": "", "finish_reason": "not_applicable", "note": "no such step"}
        made.append({**given, "probe": "filler", **idle})
    return pl.DataFrame(made, schema=records.PROBES)


def experiment(rows, regime="correct", seed=0, *, texts=None, probes=False):
    """An experiment, scored as analyze scores it; `texts` replace what its student writes."""
    texts = texts or [output(row, regime, seed) for row in rows]
    settings = PARAMS.model_copy(update={"trace_mode": regime, "seed": seed, "dataset": "babi"})
    tables = {
        "questions": questions(*rows),
        "training": questions(*rows),
        "predictions": predictions(
            *(prediction(row["id"], text) for row, text in zip(rows, texts, strict=True))
        ),
        "probes": probes_of(rows) if probes else pl.DataFrame(schema=records.PROBES),
        "teacher": pl.DataFrame(schema=TEACHER),
    }
    if len(rows) < 100:
        scores, details = scores_and_details(tables, settings, BABI)
    else:  # the figures are not what is measured
        scores = score(tables["questions"], tables["predictions"], BABI, steps_shown(settings))
        details = few_details(regime)
    given = {name: tables[name] for name in ("questions", "predictions", "probes")}
    params = {"trace_mode": regime, "seed": seed, "dataset": "babi", "model": "small"}
    return Contents(
        f"{regime}-{seed}", params, details, CARD, losses_of({}), scores=scores, **given
    )


@cache
def few_details(regime):
    return experiment([story(number) for number in range(12)], regime).details


def grid(size, regimes=("none", "correct", "incorrect"), seeds=3, **options):
    """Experiments of several regimes and seeds on the same questions."""
    rows = [story(number) for number in range(size)]
    return [experiment(rows, one, seed, **options) for one in regimes for seed in range(seeds)]


def comparison(contents):
    """What compare.json holds of these experiments, and what a page needs beside it."""
    regimes = {}
    for one in contents:
        of = DosedRegime(one.params["trace_mode"])
        regimes.setdefault(of, {})[Replicate(one.params["seed"], one.params["seed"])] = one
    tables = {of: {key: one.scores for key, one in runs.items()} for of, runs in regimes.items()}
    scores = {of: stack(runs) for of, runs in tables.items()}
    classes = contents[0].scores["question_class"].to_numpy().astype(str)
    cell = Cell("babi", "small")
    cells = {cell: CellScores(contents[0].scores["id"], classes, scores, [])}
    results = evaluate(cells, BASELINES)
    for of, runs in regimes.items():
        names = {key.label: one.name for key, one in runs.items()}
        results[cell.label]["regimes"][of.label]["experiments"] = names
    two = {"n": 12, "difference": 0.25, "low": 0.1, "high": 0.4, "p_value": 0.03}
    few = {f"{contents[1].name} - {contents[0].name}": two | {"first_only": 1, "second_only": 4}}
    differences = {"regimes": paired_effects(cells, None), "experiments": few}
    return settle({"results": results, "warnings": [], "differences": differences})[0]
