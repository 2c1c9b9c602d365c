"""Calibration: how often the comparison of two regimes is wrong, and how often it finds an effect.

Simulates students: a question's log-odds of a right answer vary over questions, over question x
regime (common to all seeds) and over seeds. The truth is known, so coverage and false alarms of
each interval can be counted. Prints a table and, last, one JSON line.
"""

import json
from collections.abc import Callable
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import stats

from tracekd.statistics.crossed import crossed
from tracekd.statistics.values import Undefined

#: Standard deviation over questions, and over question x regime, in log-odds.
QUESTION, INTERACTION = 1.5, 1.0
#: Students whose seeds agree, and students whose accuracy varies by about 9 points.
SEEDS = {"quiet": 0.0, "noisy": 0.5}
#: Log-odds by which the second regime is better.
EFFECTS = {"none": 0.0, "of 8 points": 0.55}


def main(
    runs: Annotated[int, typer.Option(help="Simulated comparisons of each design.")] = 400,
    questions: Annotated[int, typer.Option(help="Test questions.")] = 220,
) -> None:
    """Count coverage (nominal 95 %) and significant results of three intervals of a difference.

    Reads nothing and writes nothing. Prints, last, one JSON line.
    """
    results = []
    print(f"{'seeds':>5} {'noise':>6} {'effect':>12}   " + "".join(f"{n:>28}" for n in INTERVALS))
    for count in (2, 3, 5, 10):
        for noise, spread in SEEDS.items():
            for effect, shift in EFFECTS.items():
                found = design(runs, questions, count, spread, shift)
                results.append({"seeds": count, "noise": noise, "effect": effect, **found})
                cells = (f"{f['coverage']:.3f} / {f['significant']:.3f}" for f in found.values())
                print(f"{count:>5} {noise:>6} {effect:>12}   " + "".join(f"{c:>28}" for c in cells))
    print(json.dumps({"benchmark": "calibration", "runs": runs, "results": results}))


def design(runs: int, questions: int, seeds: int, spread: float, shift: float) -> dict[str, Any]:
    """Return the coverage and the share of significant results of each interval."""
    rng = np.random.default_rng(0)
    truth = simulate(rng, 20_000, 50, spread, shift).mean()
    covered = dict.fromkeys(INTERVALS, 0)
    significant = dict.fromkeys(INTERVALS, 0)
    for _ in range(runs):
        table = simulate(rng, questions, seeds, spread, shift)
        for name, interval in INTERVALS.items():
            low, high = interval(table)
            covered[name] += low <= truth <= high
            significant[name] += not low <= 0 <= high
    return {
        name: {"coverage": covered[name] / runs, "significant": significant[name] / runs}
        for name in INTERVALS
    }


def simulate(
    rng: np.random.Generator, questions: int, seeds: int, spread: float, shift: float
) -> NDArray[np.float64]:
    """Return the differences (seeds, questions) of two regimes' verdicts."""
    base = rng.normal(-1, QUESTION, questions)
    verdicts = []
    for better in (0.0, shift):
        odds = base + better + rng.normal(0, INTERACTION, questions)
        noise = rng.normal(0, spread, (seeds, 1))
        verdicts.append(rng.random((seeds, questions)) < 1 / (1 + np.exp(-odds - noise)))
    return verdicts[1].astype(float) - verdicts[0]


def over_both(table: NDArray[np.float64]) -> tuple[float, float]:
    """Return the crossed interval, also of two seeds, which `compare.py` refuses."""
    found = crossed(table, fewest=2)
    assert not isinstance(found, Undefined)
    return found.interval()


def over_one(values: NDArray[np.float64]) -> tuple[float, float]:
    """Return Student's interval of the mean of independent values."""
    half = stats.t.ppf(0.975, values.size - 1) * stats.sem(values)
    return float(values.mean() - half), float(values.mean() + half)


INTERVALS: dict[str, Callable[[NDArray[np.float64]], tuple[float, float]]] = {
    "crossed": over_both,
    "over questions": lambda table: over_one(table.mean(axis=0)),
    "over seeds": lambda table: over_one(table.mean(axis=1)),
}


if __name__ == "__main__":
    typer.run(main)
