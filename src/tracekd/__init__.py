"""tracekd: does the correctness of a reasoning trace matter to a distilled student?

For notebooks: `experiments`, `scores`, `predictions`, `probes`, `paired`; see docs/analysis.md.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tracekd.comparison.notebook import experiments, paired, predictions, probes, scores

__version__ = "0.1.0"
__all__ = ["experiments", "paired", "predictions", "probes", "scores"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from tracekd.comparison import notebook  # stages import this package, and none of that

    return getattr(notebook, name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
