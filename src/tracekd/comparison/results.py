"""All experiments -> the content of compare.json."""

from collections.abc import Mapping, Sequence
from typing import Any

from tracekd.comparison import claims, published
from tracekd.comparison.effects import adjust, effect, pairs
from tracekd.comparison.experiments import Collection
from tracekd.comparison.grid import (
    Grid,
    Setting,
    missing_commands,
    named_apart,
    not_paired,
    rerun_command,
)
from tracekd.comparison.machines import other_machines
from tracekd.comparison.scores import Loaded, SettingScores
from tracekd.comparison.tables import regime_figures
from tracekd.statistics.values import settle


def evaluate(
    settings: Mapping[Setting, SettingScores], baselines: Sequence[str]
) -> dict[str, dict[str, Any]]:
    """Return each setting's figures by regime and its paired comparisons.

    Args:
        settings: verdicts.
        baselines: the regimes that each other one is compared with.
    """
    effects = adjust(
        {
            setting.label: {
                f"{second} - {first}": effect(
                    scores.regimes[first],
                    scores.regimes[second],
                    f"{setting.label}/{first}/{second}",
                )
                for first, second in pairs(scores.regimes, baselines)
            }
            for setting, scores in settings.items()
        }
    )
    return {
        setting.label: {
            "model": setting.model,
            "dataset": setting.dataset,
            "params": dict(setting.rest),
            "regimes": {
                regime: regime_figures(one, scores.classes, f"{setting.label}/{regime}")
                for regime, one in scores.regimes.items()
            },
            "paired": effects[setting.label],
        }
        for setting, scores in settings.items()
    }


def compare(
    found: Collection,
    loaded: Loaded,
    current: Mapping[str, Any],
    baselines: Sequence[str],
    *,
    paper: bool,
    unfinished: Mapping[str, str] | None = None,
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return everything that compare.json holds, and why each null in it is undefined.

    Args:
        found: what git has.
        loaded: the experiments that were chosen, and their scores.
        current: see `experiments.current_params`.
        baselines: the regimes that each other one is compared with.
        paper: whether to set the numbers beside the published ones.
        unfinished: see `unfinished.unfinished`.
    """
    results = evaluate(named_apart(loaded.settings), baselines)
    grid = loaded.grid
    # What was run with settings of which no score is at hand is told by `scores_absent` alone.
    scored = {setting: grid.settings[setting] for setting in loaded.settings}
    known = Grid(scored, {}) if scored else grid
    read = [one for scores in loaded.settings.values() for one in scores.regimes.values()]
    report: dict[str, Any] = {
        "experiments": {
            "found": len(found.experiments) + len(found.rejected),
            "used": sum(len(one.seeds) for one in read),
            "superseded": grid.superseded,
            "rejected": {**found.rejected, **loaded.unusable},
            "scores_absent": {
                one.name: {"accuracy": one.accuracy, "command": rerun_command(one, current)}
                for one in loaded.absent
            },
            "stand_ins": dict(loaded.stand_ins),
        },
        "results": results,
        "not_paired": not_paired(known.settings),
        "other_code": other_code(known),
        "other_machines": other_machines(named_apart(known.settings), loaded.cards),
        "missing": missing_commands(known, current),
        "unfinished": dict(unfinished or {}),
    }
    if paper:
        report["paper"] = {
            "source": published.load()["source"],
            "claims": claims.judge_all(results),
            "accuracy": published.beside(results),
            "trace_answer": published.links_beside(results),
        }
    return settle(report)


def other_code(grid: Grid) -> dict[str, list[str]]:
    """Return, for each setting whose experiments ran different code, the files that differ."""
    found = {}
    for setting, cells in named_apart(grid.settings).items():
        versions: dict[str, set[str]] = {}
        for one in cells.values():
            for path, md5 in one.run.code.items():
                versions.setdefault(path, set()).add(md5)
        if differing := sorted(path for path, seen in versions.items() if len(seen) > 1):
            found[setting.label] = differing
    return found
