"""Numbers and tables as text: percent with intervals, Markdown that reads well as plain text."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tracekd.report.style import NONE


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a Markdown table with aligned columns."""
    body = list(rows)
    widths = [max(map(len, column)) for column in zip(header, *body, strict=True)]
    lines = [header, ["-" * width for width in widths], *body]
    padded = [map(str.ljust, line, widths) for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in padded)


def with_interval(estimate: Mapping[str, Any] | None, mean: str = "mean") -> str:
    """Return "61.2 (55.1 to 67.0)" for an estimate with its interval, in percent."""
    if estimate is None or estimate.get(mean) is None:
        return NONE
    text = f"{100 * estimate[mean]:.1f}"
    if estimate.get("low") is None:
        return text
    return f"{text} ({100 * estimate['low']:.1f} to {100 * estimate['high']:.1f})"


def points(value: float | None) -> str:
    """Return a share in percent, or a difference of shares in points."""
    return NONE if value is None else f"{100 * value:.1f}"


def number(value: float | None, form: str) -> str:
    """Return a number in a format such as ".2f"."""
    return NONE if value is None else format(value, form)


def p_value(value: float | None) -> str:
    """Return a p-value to two significant digits; near 0.05 to three, so that the side shows."""
    if value is None:
        return NONE
    return "< 0.0001" if value < 0.0001 else f"{value:.{3 if 0.045 < value < 0.055 else 2}g}"
