"""Ratings -> agreement, means by trace type, and a mixed model, for each item by itself.

Raters are a sample, and so are questions. Intervals of means are clustered by both (Cameron,
Gelbach and Miller, J. Business and Economic Statistics 29, 2011), with Student's t. By chance the
two-way variance can be too small, even negative: of it and both one-way ones, the widest counts.

The mixed model has random intercepts of raters and of questions, crossed, by REML. It assumes that
types differ equally for all raters and on all questions; the clustered differences do not.
"""

import math
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tracekd.statistics.values import Tree, Undefined, Value

_Numbers = NDArray[np.float64]
_MODELLED = ("mean", "low", "high", "p_value")
_FEW = "ratings by one rater, or of one question, or all equal"
_DIVERGED = "the mixed model does not converge: too few ratings, or all equal"


def analyse(ratings: pl.DataFrame, items: Sequence[str], types: Sequence[str]) -> Tree:
    """Return the figures of each item, given rows of `tracekd.rating.exports.RATINGS`.

    Returns:
        item -> `alpha`; `variance` between raters, between questions and the rest, by the model;
        `types`: type -> number of ratings `n`; `mean`, and, if the first type was rated,
        `difference` from it by the model, with its p, and `clustered`, each with `low` and `high`.
    """
    return {item: _figures(ratings.filter(item=item), types) for item in items}


def alpha(rows: pl.DataFrame) -> Value:
    """Return Krippendorff's alpha of ordinal values, given columns `rater`, `trace`, `value`."""
    import krippendorff

    table = rows.pivot("trace", index="rater", values="value").drop("rater")
    data = table.cast(pl.Float64).to_numpy()
    paired = data[:, (~np.isnan(data)).sum(axis=0) > 1]
    if np.unique(paired[~np.isnan(paired)]).size < 2:
        return Undefined("no two different ratings of traces that two raters read")
    return float(krippendorff.alpha(data, level_of_measurement="ordinal"))


def _figures(rows: pl.DataFrame, types: Sequence[str]) -> Tree:
    values = rows["value"].cast(pl.Float64).to_numpy()
    known = [name for name in types if rows.filter(type=name).height]
    design = np.stack([rows["type"].eq(name).to_numpy() for name in known], axis=1).astype(float)
    names = (rows[column].to_numpy() for column in ("rater", "question"))
    groups = np.stack([np.unique(one, return_inverse=True)[1] for one in names], axis=1)
    same = np.eye(len(known))
    against_first = same[1:] - same[0]
    bounds = _clustered(values, design, np.vstack([same, against_first]), groups)
    modelled, variance = _mixed_model(values, design, against_first, groups)
    figures: dict[str, Any] = {name: {"n": 0} for name in types}
    for place, name in enumerate(known):
        rated = values[design[:, place] == 1]
        mean = {"mean": float(rated.mean()), **_defined(bounds[place], _FEW)}
        figures[name] = {"n": rated.size, **mean}
        if place and known[0] == types[0]:
            figures[name]["difference"] = _defined(modelled[place - 1], _DIVERGED)
            apart = {"mean": figures[name]["mean"] - figures[known[0]]["mean"]}
            bound = _defined(bounds[len(known) + place - 1], _FEW)
            figures[name]["clustered"] = {**apart, **bound}
    return {"alpha": alpha(rows), "types": figures, "variance": _defined(variance, _DIVERGED)}


def _clustered(
    values: _Numbers, design: _Numbers, contrasts: _Numbers, groups: NDArray[np.int64]
) -> list[dict[str, float]]:
    """Return the bounds of each contrast of the means; NaN if there are fewer than two clusters."""
    from statsmodels.regression.linear_model import OLS

    bounds = np.full((3, len(contrasts), 2), np.nan)
    if groups.max(axis=0).all():
        for way, by in enumerate((groups, groups[:, 0], groups[:, 1])):
            with np.errstate(invalid="ignore"):
                by_cluster = {"cov_type": "cluster", "cov_kwds": {"groups": by}, "use_t": True}
                bounds[way] = OLS(values, design).fit(**by_cluster).t_test(contrasts).conf_int()
    widest = np.nan_to_num(np.ptp(bounds, axis=2)).argmax(axis=0)
    return [{"low": low, "high": high} for low, high in bounds[widest, range(len(contrasts))]]


def _mixed_model(
    values: _Numbers, design: _Numbers, contrasts: _Numbers, groups: NDArray[np.int64]
) -> tuple[list[dict[str, float]], dict[str, float]]:
    """Return each contrast of the means, and the variances; NaN if the model does not converge."""
    from statsmodels.regression.mixed_linear_model import MixedLM, VCSpec

    names = ("raters", "questions")
    incidence = [[np.eye(column.max() + 1)[column]] for column in groups.T]
    columns = [[list(map(str, range(one.shape[1])))] for (one,) in incidence]
    converged = False
    with warnings.catch_warnings(), suppress(np.linalg.LinAlgError, ValueError):
        warnings.simplefilter("ignore")  # what they are about is asked here
        every = np.ones(len(values))
        model = MixedLM(values, design, every, exog_vc=VCSpec(names, columns, incidence))
        fit = model.fit(reml=True)
        converged = fit.converged and np.isfinite(fit.bse_fe).all()
    if not converged:
        nothing = dict.fromkeys(_MODELLED, math.nan)
        return [nothing] * len(contrasts), dict.fromkeys((*names, "rest"), math.nan)
    test = fit.t_test(contrasts)
    numbers = np.column_stack([test.effect, test.conf_int(), test.pvalue])
    found = [dict(zip(_MODELLED, row, strict=True)) for row in numbers]
    return found, dict(zip((*names, "rest"), (*fit.vcomp, fit.scale), strict=True))


def _defined(numbers: dict[str, float], reason: str) -> Tree:
    """Return numbers, with the reason in place of NaN."""
    return {k: float(n) if math.isfinite(n) else Undefined(reason) for k, n in numbers.items()}
