"""Dose and response: accuracy and association over the fraction of incorrect traces in training."""

from collections.abc import Mapping

import numpy as np

from tracekd.comparison.locks import DosedRegime
from tracekd.comparison.scores import Matrix, RegimeScores
from tracekd.statistics.clustered import FEWEST_DOSES, difference_slope
from tracekd.statistics.crossed import crossed, interval_and_p
from tracekd.statistics.values import Tree, Undefined, Value


def dose_response(regimes: Mapping[DosedRegime, RegimeScores]) -> Tree:
    """Return how the answers, and their association with the trace, change from dose 0 to 1.

    Dose 0 is the regime `correct`, dose 1 `incorrect`, and between them is `mixed`, each with the
    replicates that all have. Slopes are of least-squares lines, per whole unit of dose.

    Returns:
        `accuracy`: the mean of the slopes of each replicate and question, with its crossed interval
        and p-value, and `page_p_value`, of Page's test over replicates (on these questions) that
        accuracy falls from dose to dose. `association`: see `difference_slope`. Both with their
        doses (label of a regime -> dose) and replicates. Empty if there are fewer than three doses,
        0 or 1 is not among them, or no replicate has all of them.
    """
    # The last of a dose counts: not `mixed`, which at 0 and 1 is the same as the others.
    ordered = sorted(regimes, key=lambda one: one.regime != "mixed")
    dosed = {one.dose: one for one in ordered if one.dose is not None}
    scores = {dose: regimes[dosed[dose]] for dose in sorted(dosed)}
    every = [set(one.replicates) for one in scores.values()]
    common = sorted(set.intersection(*every)) if every else []
    if len(scores) < FEWEST_DOSES or not scores.keys() >= {0, 1} or not common:
        return {}
    answers, traces = (
        np.stack([one.rows(name, common) for one in scores.values()])
        for name in ("answer", "trace")
    )
    slopes = np.polyfit(list(scores), answers.reshape(len(scores), -1), 1)[0]
    line = crossed(slopes.reshape(answers.shape[1:]))
    given = difference_slope(
        {at: (traces[row] == 1, answers[row] == 1) for row, at in enumerate(scores)}
    )
    shared: Tree = {
        "doses": {dosed[dose].label: dose for dose in scores},
        "seeds": [one.label for one in common],
    }
    accuracy = {"slope": float(slopes.mean()), **interval_and_p(line)}
    accuracy["page_p_value"] = _page(answers.mean(axis=2).T)
    return {"accuracy": {**shared, **accuracy}, "association": {**shared, **given}}


def _page(accuracies: Matrix) -> Value:
    from scipy import stats

    if len(accuracies) < 2:
        return Undefined("fewer than two seeds have all doses")
    return float(stats.page_trend_test(accuracies[:, ::-1]).pvalue)
