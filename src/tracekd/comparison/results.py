"""All experiments -> the content of compare.json."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from statistics import fmean
from typing import Any

from tracekd.comparison.cells import Cell, arrange, not_paired, varying
from tracekd.comparison.claims import judge_all
from tracekd.comparison.dose import dose_response
from tracekd.comparison.effects import MARGIN, adjust, between_experiments, effect, pairs
from tracekd.comparison.estimates import regime_figures
from tracekd.comparison.experiments import Experiment, FoundExperiments, queue_states
from tracekd.comparison.locks import CARD, DETAILS, SCORES
from tracekd.comparison.probed import probed
from tracekd.comparison.published import beside
from tracekd.comparison.scores import CellScores, RegimeScores, load_scores
from tracekd.comparison.selection import by_selection, kept_shares
from tracekd.comparison.store import Store
from tracekd.statistics.values import Tree, settle

_SHOWN = 5
#: Share of outputs cut off from which a regime's accuracy is doubted.
_CUT = 0.05
#: Facts in a stage's run card that can change scores, by their section of `made_from`: auto may
#: choose another backend, and another device another dtype. Threads favour no run.
_FACTS = {"infer": ("backend",), "machine": ("device", "device_name", "dtype")}


def compare(
    store: Store,
    found: FoundExperiments,
    chosen: Collection[Experiment],
    baselines: Sequence[str],
    *,
    margin: float = MARGIN,
    paper: bool = False,
    every_pair: bool = False,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the content of compare.json, and why each null in it is undefined (path -> reason).

    Every regime is compared with the baselines; with `paper`, also with the published numbers; with
    `every_pair`, every two regimes and every two experiments are (`differences`). `margin` is the
    largest difference in accuracy that counts as none.
    """
    loaded = load_scores(arrange(one for one in chosen if store.find(one, SCORES)), store)
    results = evaluate(loaded.cells, baselines, margin)
    for cell, scores in loaded.cells.items():
        results[cell.label]["floors"] = _floors(scores, store)
        results[cell.label]["kept"] = kept_shares(scores.used[0], store)
        for regime in scores.regimes:
            group = [one for one in scores.used if one.run.regime == regime]
            figures = results[cell.label]["regimes"][regime.label]
            figures["experiments"] = {one.run.replicate.label: one.name for one in group}
            if accuracies := by_selection(group, store):
                figures["selection"] = accuracies
            if probes := probed(group, store, f"{cell.label}/{regime.label}", margin):
                figures["probes"] = probes
    report: dict[str, Any] = {
        "experiments": {
            "found": len(found.experiments) + len(found.rejected),
            "used": sum(len(scores.used) for scores in loaded.cells.values()),
            "superseded": loaded.superseded,
            "rejected": {**found.rejected, **loaded.unusable},
            "scores_absent": [one.name for one in chosen if not store.find(one, SCORES)],
            "queue": queue_states(store.root),
        },
        "margin": margin,
        "results": results,
        "not_paired": not_paired(loaded.cells),
        "warnings": [*_warnings(loaded.cells, store), *_vanishing(results), *_cut_off(results)],
    }
    if paper:
        report["paper"] = {**beside(results), "claims": judge_all(results)}
    if every_pair:
        report["differences"] = {
            "regimes": paired_effects(loaded.cells, None, margin),
            "experiments": between_experiments(loaded.cells.values()),
        }
    return settle(report)


def evaluate(
    cells: Mapping[Cell, CellScores], baselines: Sequence[str], margin: float = MARGIN
) -> dict[str, dict[str, Any]]:
    """Return the figures of each cell by regime, and its paired comparisons."""
    paired = paired_effects(cells, baselines, margin)
    return {
        cell.label: {
            "model": cell.model,
            "dataset": cell.dataset,
            "params": dict(cell.rest),
            "regimes": {
                regime.label: regime_figures(one, scores.classes, f"{cell.label}/{regime.label}")
                for regime, one in scores.regimes.items()
            },
            "paired": paired[cell.label],
            "dose": dose_response(scores.regimes),
        }
        for cell, scores in cells.items()
    }


def paired_effects(
    cells: Mapping[Cell, CellScores], baselines: Sequence[str] | None, margin: float = MARGIN
) -> dict[str, dict[str, Any]]:
    """Return the effects of each cell, one family of tests: of regimes against the baselines.

    Without baselines, of every two regimes.
    """
    found = {
        cell.label: {
            f"{second.label} - {first.label}": _effect(
                scores.regimes[first],
                scores.regimes[second],
                f"{cell.label}/{first.label}/{second.label}",
                margin,
            )
            for first, second in pairs(scores.regimes, baselines)
        }
        for cell, scores in cells.items()
    }
    effects = [one for cell in found.values() for one in cell.values()]
    adjust(effects)
    adjust([one["corrected"] for one in effects if "corrected" in one])
    return found


def _effect(first: RegimeScores, second: RegimeScores, key: str, margin: float) -> dict[str, Any]:
    """Return `effect`, and under `corrected` that by the corrected metric, where there is one."""
    found = effect(first, second, key, margin)
    if "corrected" in first.measures.keys() & second.measures.keys():
        found["corrected"] = effect(first, second, key, margin, "corrected")
    return found


def _warnings(cells: Mapping[Cell, CellScores], store: Store) -> Iterator[str]:
    """Yield why a comparison may not be one of regimes alone, or an accuracy is optimistic."""
    for cell, scores in cells.items():
        params = scores.used[0].run.params
        data_seed = params["data_seed"]
        noted = f"datasets.yaml:{cell.dataset}.tuned_on"
        if any(data_seed in (one.run.params.get(noted) or ()) for one in scores.used):
            yield (
                f"{cell.label}: settings were chosen on the questions of data_seed {data_seed} "
                "(tuned_on in datasets.yaml): use another data_seed for accuracies to be reported"
            )
        for name in ("seed", "sample_seed"):
            seen = {
                regime: [getattr(r, name) for r in one.replicates]
                for regime, one in scores.regimes.items()
            }
            if any(1 < len(set(values)) < len(values) for values in seen.values()):
                yield (
                    f"{cell.label}: replicates share a {name}, so they are not independent, and "
                    "crossed intervals are too narrow: give each its own, or all the same one"
                )
        by_teacher = {one.run.regime.regime.startswith("teacher") for one in scores.used}
        if len(by_teacher) > 1 and not params.get("teacher.match"):
            yield (
                f"{cell.label}: regimes with a teacher's traces were taught only questions for "
                "which one was kept, the others were not: a difference may be one of questions "
                "(see what was selected); run all with teacher.match=true"
            )
        code = varying(pair for one in scores.used for pair in one.run.code.items())
        if paths := sorted(code):
            more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
            yield f"{cell.label}: different versions of {', '.join(paths[:_SHOWN])}{more}"
        facts = varying(fact for one in scores.used for fact in _facts(store.json(one, CARD)))
        if parts := [f"{name} {' / '.join(sorted(seen))}" for name, seen in facts.items()]:
            yield f"{cell.label}: different machines: {'; '.join(parts)}"


def _vanishing(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the differences between regimes that a corrected metric does not show."""
    for label, cell in results.items():
        for name, found in cell["paired"].items():
            other = found.get("corrected", found)["verdict"]
            if found["verdict"] == "different" != other:
                yield f"{label}: {name}: different as published, {other} by the corrected metric"


def _cut_off(results: Mapping[str, Any]) -> Iterator[str]:
    """Yield the regimes whose accuracy is about the length of outputs as well."""
    for label, cell in results.items():
        for name, one in cell["regimes"].items():
            if (share := one["cut"]["mean"]) > _CUT:
                yield (
                    f"{label}: {name}: {share:.0%} of the outputs were cut off; without an answer "
                    "they count as wrong: raise infer.max_new_tokens, or do not compare accuracies"
                )


def _floors(scores: CellScores, store: Store) -> dict[str, Tree]:
    """Return the mean accuracy of each floor over experiments, as figures of a regime are."""
    found: dict[str, list[float]] = defaultdict(list)
    for one in scores.used:
        for name, share in store.json(one, DETAILS).get("floors", {}).items():
            found[name].append(share)
    return {
        name: {"seeds": [], "n": len(scores.classes), "answer": {"mean": fmean(shares)}}
        for name, shares in found.items()
    }


def _facts(card: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for stage in ("train", "infer"):
        made_from = card.get(stage, {}).get("made_from", {})
        for section, names in _FACTS.items():
            facts = made_from.get(section, {})
            yield from ((f"{stage} {name}", str(facts[name])) for name in names if name in facts)
