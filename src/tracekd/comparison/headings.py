"""Settings named for pictures: short where their parameters are long, and still told apart."""

from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Any

#: Values up to so many characters are left whole.
_WHOLE = 32
_CUT = "…"


def headings(results: Mapping[str, Any]) -> dict[str, str]:
    """Return each setting's label -> a heading for it, no two the same.

    Of a parameter with long values, such as a prompt, only what differs is told.

    Args:
        results: section `results` of compare.json.
    """
    values: dict[str, list[str]] = {}
    for setting in results.values():
        for name, value in setting.get("params", {}).items():
            values.setdefault(name, []).append(value)
    short = {name: shortened(seen) for name, seen in values.items()}
    named = {
        label: ", ".join(
            [
                f"{setting['model']} on {setting['dataset']}",
                *(f"{name} {short[name][value]}" for name, value in setting["params"].items()),
            ]
        )
        if "params" in setting
        else label
        for label, setting in results.items()
    }
    return named if len(set(named.values())) == len(named) else {label: label for label in named}


def shortened(values: Sequence[str]) -> dict[str, str]:
    """Return each value -> itself, or where it is long what the values do not share.

    >>> start = "Answer this question as well as you can, "
    >>> list(shortened([f"{start}in one word.", f"{start}in a sentence."]).values())
    ['…one word…', '…a sentence…']
    """
    if max(map(len, values)) <= _WHOLE:
        return {value: value for value in values}
    start = _shared(values)
    end = _shared([value[start:][::-1] for value in values])
    return {value: _middle(value, start, len(value) - end) for value in values}


def _shared(values: Sequence[str]) -> int:
    """Return how many characters all values begin with."""
    columns = zip(*values, strict=False)
    return sum(1 for _ in takewhile(lambda column: len(set(column)) == 1, columns))


def _middle(value: str, start: int, end: int) -> str:
    """Return value[start:end], at most `_WHOLE` characters, with signs where any were cut."""
    stop = min(end, start + _WHOLE)
    before = _CUT if start else ""
    return before + value[start:stop] + (_CUT if stop < len(value) else "")
