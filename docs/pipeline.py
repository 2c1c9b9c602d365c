"""Draws docs/pipeline.png: python docs/pipeline.py."""

from pathlib import Path

import matplotlib as mpl

mpl.use("agg")
import matplotlib.pyplot as plt

GOOD, BAD, INK, PAPER = "#0072b2", "#d55e00", "#24292f", "#f6f8fa"


def box(axes: plt.Axes, x: float, y: float, w: float, h: float, text: str, color: str) -> None:
    """Draw a rounded box with a text."""
    patch = mpl.patches.FancyBboxPatch(
        (x, y), w, h, boxstyle="round,pad=0.4,rounding_size=0.8", fc=PAPER, ec=color, lw=1.6
    )
    axes.add_patch(patch)
    axes.text(x + w / 2, y + h / 2, text, ha="center", va="center", fontsize=8.5, color=INK)


def arrow(axes: plt.Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Draw an arrow."""
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "lw": 1.2})


figure, axes = plt.subplots(figsize=(10.4, 3.1))
axes.set_xlim(0, 104)
axes.set_ylim(1, 32)
axes.axis("off")
box(
    axes,
    1,
    8,
    19,
    15,
    "Iris took the coin.\nCarl went to the attic.\nIris ran to the stable.\n\nWhere is the coin?",
    INK,
)
box(
    axes,
    29,
    17.5,
    25,
    10,
    "correct trace\nclass: two-supporting-facts\nfacts: Iris took the coin.\n"
    "Iris ran to the stable.",
    GOOD,
)
box(axes, 29, 3, 25, 10, "incorrect trace\nclass: counting\nfacts: Carl went to the attic.", BAD)
box(
    axes,
    62,
    9,
    15,
    13,
    "student\nSmolLM2, Llama,\nQwen3, ...\n\nalways taught the\nright answer",
    INK,
)
box(axes, 85, 18, 17, 8, "its trace, step by step:\nright or wrong?", INK)
box(axes, 85, 4.5, 17, 8, "its answer:\nright or wrong?", INK)
for start, end in (
    ((20.8, 17), (28.2, 22)),
    ((20.8, 14), (28.2, 8.5)),
    ((54.8, 22), (61.2, 17.5)),
    ((54.8, 8.5), (61.2, 13)),
    ((77.8, 17), (84.2, 21.5)),
    ((77.8, 14), (84.2, 9)),
):
    arrow(axes, start, end)
axes.annotate(
    "", (93.5, 13.2), (93.5, 17.2), arrowprops={"arrowstyle": "<->", "color": INK, "lw": 1.2}
)
axes.text(94.3, 15.2, "associated?", va="center", fontsize=8.5, style="italic", color=INK)
for x, name in (
    (10.5, "prepare"),
    (41.5, "decompose, build-sft"),
    (69.5, "train"),
    (93.5, "infer, probe, analyze"),
):
    axes.text(x, 30, name, ha="center", fontsize=9, color="#57606a", family="monospace")
figure.subplots_adjust(left=0, right=1, bottom=0, top=1)
figure.savefig(Path(__file__).with_name("pipeline.png"), dpi=110)
