"""95 % confidence intervals of shares and of their difference."""

from math import sqrt

from tracekd.statistics.values import Undefined, Value

#: Confidence of every interval.
LEVEL = 0.95


def wilson_interval(part: float, whole: float) -> tuple[float, float]:
    """Return Wilson's score interval of a share (Wilson 1927); whole > 0.

    Unlike a bootstrap it has a width where every question agrees. Counts need not be whole numbers:
    `whole` may be the number of independent observations that clustered ones are worth.
    """
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(part, whole, alpha=1 - LEVEL, method="wilson")
    # At the ends the bound is exact, but for rounding.
    return float(low) if part else 0.0, float(high) if part < whole else 1.0


def share_interval(part: int, whole: int, reason: str) -> tuple[Value, Value]:
    """Return Wilson's interval of a share; undefined for `reason` if whole is 0."""
    if not whole:
        return Undefined(reason), Undefined(reason)
    return wilson_interval(part, whole)


def newcombe_interval(
    first: tuple[float, float, float],
    second: tuple[float, float, float],
    correlation: float = 0.0,
) -> tuple[float, float]:
    """Return the interval of first - second of two shares (Newcombe 1998, method 10).

    Args:
        first: the share and the bounds of its Wilson interval.
        second: the same of the other.
        correlation: of the two shares' errors (Zou and Donner 2008); 0 if they are independent.
    """

    def combined(one: float, other: float) -> float:
        return sqrt(max(0.0, one**2 + other**2 - 2 * correlation * one * other))

    (one, one_low, one_high), (two, two_low, two_high) = first, second
    difference = one - two
    return (
        difference - combined(one - one_low, two_high - two),
        difference + combined(one_high - one, two - two_low),
    )
