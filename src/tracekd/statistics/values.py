"""Numbers that may be undefined: a reason in their place, never a 0.

`settle` turns a tree of such values into JSON, with null for what is undefined, and the reasons.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

#: Significant digits in JSON: enough for every comparison, few enough that two machines
#: agree. Not decimals, which would turn a small p-value into 0.
DIGITS = 6


@dataclass(frozen=True, slots=True)
class Undefined:
    """Takes the place of a number and gives the reason why there is none."""

    reason: str


Value = float | int | Undefined
#: A tree whose leaves are values; keys are those of the JSON.
Tree = Mapping[str, Any]


def ratio(part: float, whole: float, reason: str) -> Value:
    """Return part / whole; undefined for `reason` if whole is 0."""
    return part / whole if whole else Undefined(reason)


def settle(tree: Tree) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the tree with null for what is undefined, floats rounded; and path -> reason.

    Raises:
        ValueError: if a number is NaN or infinite: it should have been `Undefined`.
    """
    settled: dict[str, Any] = {}
    reasons: dict[str, str] = {}
    for name, value in tree.items():
        if isinstance(value, Mapping):
            settled[name], inner = settle(value)
            reasons.update({f"{name}.{path}": reason for path, reason in inner.items()})
        elif isinstance(value, Undefined):
            settled[name] = None
            reasons[name] = value.reason
        elif isinstance(value, float):
            if not math.isfinite(value):
                raise ValueError(f"{name} is {value}")
            settled[name] = float(f"{value:.{DIGITS}g}")
        else:
            settled[name] = value
    return settled, reasons
