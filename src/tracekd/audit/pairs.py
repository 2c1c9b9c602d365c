"""Sets of texts on the same questions, compared as `compare` compares regimes.

A set is one model, so nothing here speaks of other seeds: a difference has McNemar's exact test and
the bootstrap's interval over questions, and claims about regimes that need seeds stay undecided.
"""

from collections.abc import Mapping
from itertools import combinations
from typing import Any

import polars as pl

from tracekd.comparison.claims import judge_all
from tracekd.comparison.effects import MARGIN, adjust, effect
from tracekd.comparison.estimates import pooled_association
from tracekd.comparison.locks import Replicate
from tracekd.comparison.markdown import p_value, with_interval
from tracekd.comparison.scores import RegimeScores
from tracekd.statistics.values import settle
from tracekd.traces.regimes import REGIMES

#: Metric -> its verdict in the rows of a report.
_METRICS = {"published": "answer_correct", "corrected": "corrected"}


def compare_sets(reports: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Return each pair of sets on their common questions, and the paper's claims about regimes.

    Claims need sets of one model whose names end in their regimes, such as `llama_none` and
    `llama_correct`. The second value says why a number is null (path -> reason).
    """
    tables = {name: pl.DataFrame(report["verdicts"]) for name, report in reports.items()}
    pairs: dict[str, Any] = {}
    models: dict[str, Any] = {}
    for first, second in combinations(tables, 2):
        both = tables[first].join(tables[second], on="id", suffix="_second")
        (model, one), (other_model, other) = _regime(first), _regime(second)
        for metric, column in _METRICS.items() if len(both) else ():
            if column not in both.columns:
                continue
            before, after = (_scores(answer=both[f"{column}{end}"]) for end in ("", "_second"))
            found = effect(before, after, f"audit/{first}/{second}", MARGIN)
            mcnemar = found["by_seed"]["0"]
            chosen = {
                name: found[name] for name in ("n", "over_questions", "p_equivalent")
            } | mcnemar
            pairs.setdefault(f"{second} - {first}", {})[metric] = chosen
            if one and other and model == other_model and metric == "published":
                cell = models.setdefault(model, {"regimes": {}, "paired": {}})
                cell["paired"][f"{other} - {one}"] = found
    for name, table in tables.items():
        model, regime = _regime(name)
        if regime and model in models and not table["trace_correct"].null_count():
            scores = _scores(answer=table["answer_correct"], trace=table["trace_correct"])
            classes = table["question_class"].to_numpy().astype(str)
            link = pooled_association(scores, classes, f"audit/{name}")
            models[model]["regimes"][regime] = {"link": link}
    for metric in _METRICS:
        adjust([pair[metric] for pair in pairs.values() if metric in pair])
    return settle({"pairs": pairs, "claims": judge_all(models) if models else {}})


def to_text(compared: Mapping[str, Any]) -> str:
    """Return the pairs and claims (null where undefined) as lines of text."""
    lines = ["Differences in accuracy on the same questions, in points"]
    for name, pair in compared["pairs"].items():
        for metric, found in pair.items():
            vanished = found["verdict"] != pair["published"]["verdict"]
            over = found["over_questions"]
            shown = with_interval({**found, **over}, "difference")
            lines.append(
                f"  {name} ({metric} metric): {shown}, n {found['n']}, McNemar p "
                f"{p_value(found['p_value'])}, Holm {p_value(found['p_holm'])}: {found['verdict']}"
                f"{'  WARNING: not as by the published metric' if vanished else ''}"
            )
    for claim in compared["claims"].values():
        lines.append(f"{claim['claim']}: {claim['verdict']}")
        lines += [f"  {model}: {one['because']}" for model, one in claim["cells"].items()]
    return "\n".join(lines)


def _scores(**verdicts: pl.Series) -> RegimeScores:
    matrices = {name: one.cast(pl.Float64).to_numpy()[None] for name, one in verdicts.items()}
    return RegimeScores((Replicate(0, 0),), matrices)


def _regime(name: str) -> tuple[str, str | None]:
    """Return a set's name without the regime at its end, and the regime, if there is one."""
    regime = max((one for one in REGIMES if name.endswith(one)), key=len, default=None)
    return name.removesuffix(regime or "").rstrip("_-/"), regime
