"""All experiments -> the content of compare.json."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tracekd.comparison import claims, published
from tracekd.comparison.conditions import differences
from tracekd.comparison.effects import adjust, effect, pairs
from tracekd.comparison.estimates import regime_figures
from tracekd.comparison.experiments import FoundExperiments
from tracekd.comparison.grid import Cell, Grid, distinguished, missing, not_paired
from tracekd.comparison.scores import CellScores, LoadedScores
from tracekd.statistics.values import settle


def compare(
    found: FoundExperiments,
    grid: Grid,
    loaded: LoadedScores,
    baselines: Sequence[str],
    cache: Path,
    *,
    paper: bool = False,
    queue: Mapping[str, int] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the content of compare.json, and why each null in it is undefined (path -> reason).

    Args:
        found: all experiments of the repository.
        grid: the chosen ones.
        loaded: their scores.
        baselines: the regimes that every other regime is compared with.
        cache: the folder of DVC's cache.
        paper: whether to add the published numbers and claims.
        queue: state -> number of experiments in DVC's queue.
    """
    results = evaluate(distinguished(loaded.cells), baselines)
    # Cells without any scores are listed under `scores_absent` alone.
    scored = {cell: grid[cell] for cell in loaded.cells}
    report: dict[str, Any] = {
        "experiments": {
            "found": len(found.experiments) + len(found.rejected),
            "used": sum(map(len, loaded.used.values())),
            "superseded": loaded.superseded,
            "rejected": {**found.rejected, **loaded.unusable},
            "scores_absent": loaded.absent,
            "queue": dict(queue or {}),
        },
        "results": results,
        "not_paired": not_paired(scored),
        "warnings": differences(loaded.used, cache),
        "missing": missing(distinguished(scored)),
    }
    if paper:
        report["paper"] = {
            "source": published.load_published()["source"],
            "claims": claims.judge_all(results),
            "accuracy": published.beside(results),
            "trace_answer": published.associations_beside(results),
        }
    return settle(report)


def evaluate(
    cells: Mapping[Cell, CellScores], baselines: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return the figures of each cell by regime, and its paired comparisons with the baselines."""
    effects = adjust(
        {
            cell.label: {
                f"{second.label} - {first.label}": effect(
                    scores.regimes[first],
                    scores.regimes[second],
                    f"{cell.label}/{first.label}/{second.label}",
                )
                for first, second in pairs(scores.regimes, baselines)
            }
            for cell, scores in cells.items()
        }
    )
    return {
        cell.label: {
            "model": cell.model,
            "dataset": cell.dataset,
            "params": dict(cell.rest),
            "regimes": {
                regime.label: {
                    "regime": regime.regime,
                    **({} if regime.corruption is None else {"corruption": regime.corruption}),
                    **regime_figures(one, scores.classes, f"{cell.label}/{regime.label}"),
                }
                for regime, one in scores.regimes.items()
            },
            "paired": effects[cell.label],
        }
        for cell, scores in cells.items()
    }
