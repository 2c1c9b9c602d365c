"""What all figures and printed tables share: colours, the frame of a picture, numbers as text.

The same input gives the same bytes: no dates, no paths, fixed fonts and sizes.
"""

import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import polars as pl

from tracekd.files import atomic_file

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: From Okabe and Ito's palette, which the colour-blind can tell apart, and of different lightness.
ANSWER, TRACE = "#0072b2", "#e69f00"
INK, QUIET, PALE = "#22272e", "#7d858e", "#d5d8dc"
#: What is printed for a number that is undefined, or whose step the regime does not teach.
NONE = "-"

_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": QUIET,
    "text.color": INK,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.titleweight": "bold",
}
#: Characters of a title and of a caption in an inch of width.
_TITLE, _CAPTION = 9, 12


@contextmanager
def picture(
    path: Path, title: str, size: tuple[float, float], caption: str = ""
) -> "Iterator[Figure]":
    """Yield a figure, `size` in inches, in the style of this project; then write it as PNG.

    The title is above everything else; the caption, in small print, below.
    """
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=size, dpi=150, layout="constrained")
        wrap = partial(textwrap.fill, break_on_hyphens=False)
        heading = wrap(title, int(size[0] * _TITLE))
        figure.suptitle(heading, x=0.01, ha="left", fontsize=12.5)
        if caption:
            note = wrap(caption, int(size[0] * _CAPTION))
            figure.supxlabel(note, x=0.01, ha="left", fontsize=8.5, color=QUIET)
        yield figure
        with atomic_file(path) as temporary:
            figure.savefig(temporary, format="png", metadata={"Software": None})


def percent_axis(axes: "Axes") -> None:
    """Scale the horizontal axis from 0 to 100 %, with room for labels."""
    axes.set_xlim(0, 112)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.set_xlabel("%")


def say(axes: "Axes", text: str) -> None:
    """Write a sentence in place of a plot that has nothing to draw."""
    axes.text(0.5, 0.5, text, ha="center", va="center", transform=axes.transAxes, color=QUIET)
    axes.set_axis_off()


def write_csv(table: pl.DataFrame, path: Path) -> None:
    """Write a table as CSV, completely or not at all."""
    with atomic_file(path) as temporary:
        table.write_csv(temporary)


def find(tree: Any, path: str) -> Any:
    """Return the value at "section.subsection.name"; None if a part of the path is missing."""
    for name in path.split("."):
        tree = tree.get(name) if isinstance(tree, Mapping) else None
    return tree


def percent(value: float | None, digits: int = 1) -> str:
    """Return a share as text, for example "29.0 %"."""
    return NONE if value is None else f"{100 * value:.{digits}f} %"
