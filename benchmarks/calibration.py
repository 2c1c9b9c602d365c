"""Calibration: how often the intervals and tests of compare.py are wrong, and how often they find.

Simulates students: the log-odds of a right answer vary over questions, over question x regime
(common to all seeds) and over seeds; so do those of a right trace. The truth is known, so coverage
and significant results can be counted, without an effect (false alarms) and with one (power).
Prints tables and, last, one JSON line.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray
from scipy import stats

from tracekd.statistics.clustered import difference, share
from tracekd.statistics.crossed import Components, crossed, detectable
from tracekd.statistics.values import Tree, Undefined

#: Standard deviation over questions, and over question x regime, in log-odds.
QUESTION, INTERACTION = 1.5, 1.0
#: Students whose seeds agree, and students whose accuracy varies by about 9 points.
NOISE = {"quiet": 0.0, "noisy": 0.5}
#: Log-odds by which the second regime is better, and an answer given a right trace.
REGIME, TRACE = {"none": 0.0, "8 points": 0.55}, {"none": 0.0, "14 points": 0.8}
#: Mean log-odds of a right trace: one in four is right, or one in thirty.
TRACES = {"some": -1.5, "few": -5.0}
#: Variances of seeds, questions and residuals for which the detectable difference is tried.
VARIANCES = {"quiet": (0.0, 0.06, 0.15), "noisy": (0.003, 0.02, 0.15), "residual": (0.0, 0.0, 0.2)}

Table = NDArray[Any]
#: Bounds, and whether the result is significant (None: no test); None if undefined.
Result = tuple[float, float, bool | None] | None


def main(
    runs: Annotated[int, typer.Option(help="Simulated comparisons of each design.")] = 400,
    questions: Annotated[int, typer.Option(help="Test questions.")] = 220,
) -> None:
    """Count coverage (nominal 0.95), false alarms (0.05) and power (0.80 where promised).

    Reads nothing and writes nothing. Prints, last, one JSON line.
    """
    regimes = [
        {"seeds": seeds, "noise": noise, "effect": effect}
        | counted(
            runs, partial(two_regimes, NOISE[noise], REGIME[effect]), INTERVALS, seeds, questions
        )
        for seeds, noise, effect in product((2, 3, 5, 10), NOISE, REGIME)
    ]
    links = [
        {"seeds": seeds, "noise": noise, "traces": traces, "effect": effect}
        | counted(
            runs,
            partial(one_regime, NOISE[noise], TRACES[traces], TRACE[effect]),
            ASSOCIATION,
            seeds,
            questions,
        )
        for seeds, noise, traces, effect in product((1, 2, 3, 5, 10), NOISE, TRACES, TRACE)
    ]
    power = [
        {"seeds": seeds, "variance": name, "power": power_at(4 * runs, seeds, questions, name)}
        for seeds, name in product((3, 5, 10), VARIANCES)
    ]
    show("Difference between two regimes: coverage / significant", regimes)
    show("Association of trace and answer in one regime: coverage / significant", links)
    show("Power where the true difference is the detectable one", power)
    results = {"regimes": regimes, "association": links, "power": power}
    print(json.dumps({"benchmark": "calibration", "runs": runs, "results": results}))


def show(title: str, rows: Sequence[Mapping[str, Any]]) -> None:
    """Print rows with the same keys as a table."""
    print(f"\n{title}\n" + "".join(f"{name:>22}" for name in rows[0]))
    for row in rows:
        print("".join(f"{cell(value):>22}" for value in row.values()))


def cell(value: Any) -> str:
    """Return what was counted as text."""
    if isinstance(value, dict):
        return " / ".join(
            f"{value[name]:.3f}" for name in ("coverage", "significant") if name in value
        )
    return f"{value:.3f}" if isinstance(value, float) else str(value)


def counted(
    runs: int,
    draw: Callable[[np.random.Generator, int, int], tuple[Table, ...]],
    measures: Mapping[str, tuple[Callable[..., float], Callable[..., Result]]],
    seeds: int,
    questions: int,
) -> dict[str, dict[str, float]]:
    """Return coverage and share of significant results of each measure, where it is defined.

    The truth is the value with many seeds and questions.
    """
    many, rng = draw(np.random.default_rng(0), 50, 20_000), np.random.default_rng(1)
    samples = [draw(rng, seeds, questions) for _ in range(runs)]
    counts = {}
    for name, (value, measure) in measures.items():
        truth = value(*many)
        known = [one for one in (measure(*sample) for sample in samples) if one is not None]
        covered = float(np.mean([low <= truth <= high for low, high, _ in known]))
        counts[name] = {"coverage": covered, "defined": len(known) / runs}
        if tests := [significant for _, _, significant in known if significant is not None]:
            counts[name]["significant"] = float(np.mean(tests))
    return counts


def two_regimes(
    spread: float, shift: float, rng: np.random.Generator, seeds: int, questions: int
) -> tuple[Table]:
    """Return the differences (seeds, questions) of two regimes' verdicts."""
    base = rng.normal(-1, QUESTION, questions)
    first, second = (
        verdicts(
            rng,
            base + better + rng.normal(0, INTERACTION, questions),
            rng.normal(0, spread, (seeds, 1)),
        )
        for better in (0.0, shift)
    )
    return (second.astype(float) - first,)


def one_regime(
    spread: float, right: float, effect: float, rng: np.random.Generator, seeds: int, questions: int
) -> tuple[Table, Table]:
    """Return verdicts (seeds, questions) of traces and answers; good seeds are good at both."""
    good = rng.normal(0, spread, (seeds, 1))
    trace = verdicts(rng, rng.normal(right, QUESTION, questions), good)
    answer = verdicts(rng, rng.normal(-1, QUESTION, questions) + effect * trace, good)
    return trace, answer


def verdicts(rng: np.random.Generator, odds: Table, noise: Table) -> Table:
    """Return verdicts with these log-odds."""
    chances = 1 / (1 + np.exp(-odds - noise))
    drawn: Table = rng.random(chances.shape) < chances
    return drawn


def over_both(table: Table) -> Result:
    """Return the crossed interval, also of two seeds, which `compare.py` refuses."""
    found = crossed(table, fewest=2)
    assert not isinstance(found, Undefined)
    low, high = found.interval()
    return low, high, not low <= 0 <= high


def over_one(values: Table) -> Result:
    """Return Student's interval of the mean of independent values."""
    half = stats.t.ppf(0.975, values.size - 1) * stats.sem(values)
    low, high = values.mean() - half, values.mean() + half
    return low, high, not low <= 0 <= high


def result(found: Tree) -> Result:
    """Return interval and test of an association."""
    if isinstance(found["mean"], Undefined):
        return None
    return found["low"], found["high"], found["p_value"] < 0.05 if "p_value" in found else None


def given_right(trace: Table, answer: Table) -> Tree:
    """Return the share of right answers given a right trace."""
    return share(answer, trace, "no trace is right")


def power_at(runs: int, seeds: int, questions: int, name: str) -> float:
    """Return how often the detectable difference is found."""
    components = Components(*VARIANCES[name])
    true = detectable(components, seeds, questions)
    assert not isinstance(true, Undefined)
    rng, found = np.random.default_rng(2), 0
    shapes = {(seeds, 1): components.seed, (1, questions): components.question}
    for _ in range(runs):
        table = rng.normal(true, np.sqrt(components.residual), (seeds, questions))
        table += sum(rng.normal(0, np.sqrt(size), shape) for shape, size in shapes.items())
        one = over_both(table)
        found += one is not None and bool(one[2])
    return found / runs


#: Measure -> its value, and its interval and test.
INTERVALS = {
    "crossed": (np.mean, over_both),
    "over questions": (np.mean, lambda table: over_one(table.mean(axis=0))),
    "over seeds": (np.mean, lambda table: over_one(table.mean(axis=1))),
}
ASSOCIATION = {
    "difference": (
        lambda *tables: difference(*tables)["mean"],
        lambda *tables: result(difference(*tables)),
    ),
    "given a right trace": (
        lambda *tables: given_right(*tables)["mean"],
        lambda *tables: result(given_right(*tables)),
    ),
}


if __name__ == "__main__":
    typer.run(main)
