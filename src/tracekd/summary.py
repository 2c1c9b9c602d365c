"""The short table that ends a run, and where the rest lies."""

from typing import Any

_ROWS = (
    ("answer accuracy", ("answer", "accuracy")),
    ("class accuracy", ("class", "accuracy")),
    ("IR F1", ("facts", "f1")),
    ("whole trace right", ("trace", "accuracy")),
    ("P(answer right | trace right)", ("link", "trace", "p_answer_if_right")),
    ("P(answer right | trace wrong)", ("link", "trace", "p_answer_if_wrong")),
)
#: What stands for a number that is undefined, or whose step the regime does not teach.
NONE = "-"


def summary(metrics: dict[str, Any], title: str, places: dict[str, str]) -> str:
    """Return the table of the main figures as text.

    Args:
        metrics: the content of metrics.json.
        title: what was run, e.g. "smollm2 on babi_sim, correct traces, seed 0".
        places: what -> where it lies.
    """
    heading = f"{title}: {metrics['n']} questions"
    lines = [heading, "-" * len(heading)]
    lines += [f"{name:<30} {_percent(_find(metrics, path)):>8}" for name, path in _ROWS]
    lines += [_trust(metrics), ""]
    lines += [f"{what:<30} {where}" for what, where in places.items()]
    return "\n".join(lines)


def _trust(metrics: dict[str, Any]) -> str:
    """Return one line on outputs that were not as taught."""
    form = metrics["format"]
    kinds = ("lenient", "failed", "truncated")
    return "read leniently / not at all / truncated: " + " / ".join(
        _percent(form[kind]) for kind in kinds
    )


def _find(metrics: dict[str, Any], path: tuple[str, ...]) -> float | None:
    found: Any = metrics
    for name in path:
        found = found.get(name) if isinstance(found, dict) else None
    return None if found is None else float(found)


def _percent(value: float | None) -> str:
    return NONE if value is None else f"{100 * value:.1f} %"
