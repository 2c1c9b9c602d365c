"""What the trace does to the answer: effects of replacing it, each with a 95 % interval.

Questions are what is resampled. Shares have Wilson's interval, which has a width where every
question agrees; other means the bootstrap's.
"""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd.probing.plans import CUTS
from tracekd.statistics import bootstrap
from tracekd.statistics.intervals import share_interval
from tracekd.statistics.paired import change_interval
from tracekd.statistics.values import Tree, Undefined, Value, ratio

_SECOND = {
    "gold": ("incorrect", "shuffled", "filler", "empty"),
    "own": (
        *("gold", "empty", "corrected_class", "corrected_facts", "corrupted_class"),
        "corrupted_facts",
    ),
}
#: Name of an effect in details.json -> the traces compared.
EFFECTS = {f"{a}_to_{b}": (a, b) for a, others in _SECOND.items() for b in others}
#: The effect that is reported by class too.
MAIN_EFFECT = "gold_to_incorrect"

Interval = Callable[[NDArray[np.float64], np.random.Generator], tuple[Value, Value]]

_NOT_RUN = "the probe was run on no question"
_NOT_PAIRED = "no question was run with both traces"
_NO_WRONG_FACTS = "no question shows wrong facts that could reveal what the answer follows"
_NO_OWN = "no question was run with the student's own trace"
_NO_TRACE = "no question has a trace of the student's own and all its cuts"


def effects_of_traces(verdicts: pl.DataFrame) -> Tree:
    """Return the section `probes` of details.json, from `VERDICTS` (at least one row)."""
    return {
        "n": verdicts["id"].n_unique(),
        "by_probe": {name: _probe(rows) for name, rows in _by_probe(verdicts).items()},
        "effects": {name: effect(verdicts, name) for name in EFFECTS},
        "follows_wrong_facts": follows_wrong_facts(verdicts),
        "own_repeats_prediction": own_repeats_prediction(verdicts),
        "early_answering": early_answering(verdicts),
        "by_class": _groups(verdicts, "question_class"),
        "by_answer_in_facts": _groups(verdicts, "answer_in_facts"),
    }


def _groups(verdicts: pl.DataFrame, column: str) -> Tree:
    return {
        str(name): {
            "n": rows["id"].n_unique(),
            "accuracy": {probe: _accuracy(part) for probe, part in _by_probe(rows).items()},
            "effects": {MAIN_EFFECT: effect(rows, MAIN_EFFECT)},
            "follows_wrong_facts": follows_wrong_facts(rows),
            "early_answering": early_answering(rows),
        }
        for (name,), rows in verdicts.sort(column).group_by(column, maintain_order=True)
    }


def reasons(verdicts: pl.DataFrame) -> dict[str, str]:
    """Return, for each probe that was not run on every question, how often for which reason.

    The keys are paths in the section `probes`.
    """
    counted = (
        verdicts.filter(~pl.col("applied"))
        .group_by("probe", "note")
        .len()
        .sort("probe", "len", "note", descending=[False, True, False])
    )
    found: dict[str, list[str]] = {}
    for probe, note, count in counted.iter_rows():
        found.setdefault(f"by_probe.{probe}.not_applicable", []).append(f"{count}: {note}")
    return {path: "; ".join(parts) for path, parts in found.items()}


def effect(verdicts: pl.DataFrame, name: str) -> Tree:
    """Return what changes from one trace to the other, on the questions run with both.

    `answer_changes` is the share of questions that get another answer; `accuracy_change` and
    `gold_logprob_change` are means over questions of the second minus the first, the latter of the
    natural logarithm of the gold answer's probability.
    """
    first, second = EFFECTS[name]
    pairs = _applied(verdicts, first).join(_applied(verdicts, second), on="id", suffix="_to")
    correct = pairs["correct_to"].cast(pl.Int8) - pairs["correct"].cast(pl.Int8)
    chance = pairs["gold_logprob_to"] - pairs["gold_logprob"]
    return {
        "n": pairs.height,
        **_share("answer_changes", pairs["answer"] != pairs["answer_to"], _NOT_PAIRED),
        **_mean("accuracy_change", correct, _NOT_PAIRED, name, interval=change_interval),
        **_mean("gold_logprob_change", chance, _NOT_PAIRED, name),
    }


def follows_wrong_facts(verdicts: pl.DataFrame) -> Tree:
    """Return how often the wrong facts that the trace shows state the answer.

    They do if they contain all its items as whole words, ignoring case and punctuation, and it is
    not right. Counted among questions whose gold facts state the gold answer and whose wrong facts
    do not: elsewhere following and not following could look the same. Wrong facts that name nothing
    that could be an answer are counted too; no answer follows them. `without_them` is the share of
    the same questions whose answer given the *gold* trace is stated in those wrong facts: what
    would be found there anyway.
    """
    given = _applied(verdicts, "incorrect").drop_nulls("from_wrong")
    gold = _applied(verdicts, "gold").join(given, on="id", how="semi")["from_wrong"]
    return {
        "n": given.height,
        **_share("share", given["from_wrong"], _NO_WRONG_FACTS),
        "without_them": ratio(int(gold.sum()), len(gold), _NO_WRONG_FACTS),
    }


def own_repeats_prediction(verdicts: pl.DataFrame) -> Tree:
    """Return how often the answer given the student's own trace is the student's own prediction.

    It is the same student after the same tokens. But probes are computed in batches of another
    shape, and in bf16 a near tie may then fall the other way (an answer that was cut off at
    `infer.max_new_tokens` has more room, too). What is missing to 1 is the floor of
    `answer_changes`, `same_*` and `area`: a change of that size may be rounding alone.
    """
    repeats = _applied(verdicts, "own")["repeats"]
    return {"n": len(repeats), **_share("share", repeats, _NO_OWN)}


def early_answering(verdicts: pl.DataFrame) -> Tree:
    """Return how early in the student's own trace its final answer is reached.

    `same_50` is the share of questions that get the answer of the whole trace when half of it is
    shown. `area` is the area over that curve (AOC in Lanham et al. 2023, arXiv 2307.13702), where a
    question's answer at a cut counts until the next one: 0 if no answer needs any of the trace, 1
    if every answer needs all of it. Questions without a trace of their own are left out.
    """
    table = _applied(verdicts, "own").filter(pl.col("trace_tokens") > 0).select("id", own="answer")
    for percent in CUTS:
        cut = _applied(verdicts, f"own_cut_{percent}")
        table = table.join(cut.select("id", pl.col("answer").alias(str(percent))), on="id")
    area = pl.zeros(table.height, pl.Float64, eager=True)
    shares: dict[str, Value] = {}
    for start, end in pairwise((*CUTS, 100)):
        same = table[str(start)] == table["own"]
        area += (~same).cast(pl.Int32) * (end - start)
        shares |= _share(f"same_{start}", same, _NO_TRACE)
    return {"n": table.height, **shares, **_mean("area", area / 100, _NO_TRACE, "early_answering")}


def _by_probe(verdicts: pl.DataFrame) -> dict[str, pl.DataFrame]:
    groups = verdicts.group_by("probe", maintain_order=True)
    return {str(name): rows for (name,), rows in groups}


def _probe(rows: pl.DataFrame) -> Tree:
    applied = rows.filter("applied")
    name = str(rows["probe"][0])
    return {
        "not_applicable": rows.height - applied.height,
        **_accuracy(rows),
        **_mean("gold_logprob", applied["gold_logprob"], _NOT_RUN, name),
    }


def _accuracy(rows: pl.DataFrame) -> Tree:
    correct = rows.filter("applied")["correct"]
    return {"n": len(correct), **_share("accuracy", correct, _NOT_RUN)}


def _applied(verdicts: pl.DataFrame, probe: str) -> pl.DataFrame:
    return verdicts.filter(pl.col("applied") & (pl.col("probe") == probe))


def _share(name: str, values: pl.Series, reason: str) -> dict[str, Value]:
    part, whole = int(values.sum()), len(values)
    low, high = share_interval(part, whole, reason)
    return {name: ratio(part, whole, reason), f"{name}_low": low, f"{name}_high": high}


def _mean(
    name: str,
    values: pl.Series,
    reason: str,
    key: str,
    interval: Interval = bootstrap.mean_interval,
) -> dict[str, Value]:
    if values.is_empty():
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"), Undefined(reason))
    seen = values.cast(pl.Float64).to_numpy()
    low, high = interval(seen, bootstrap.generator("bootstrap", "probes", name, key))
    return {name: float(seen.mean()), f"{name}_low": low, f"{name}_high": high}
