"""Pictures across experiments: all are written, and the same input gives the same bytes."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from tracekd.comparison import figures

ESTIMATE = {"mean": 0.5, "value": 0.5, "low": 0.4, "high": 0.6}
UNKNOWN = {"value": None, "low": None, "high": None}
EFFECT = {"difference": -0.1, "low": -0.2, "high": 0.01, "detectable": 0.15}
RESULTS: dict[str, Any] = {
    "small on worlds": {
        "regimes": {
            "none": {"answer": ESTIMATE},
            "correct": {
                "answer": ESTIMATE,
                "trace": ESTIMATE,
                "link": {"p_answer_if_right": UNKNOWN, "p_answer_if_wrong": ESTIMATE},
            },
        },
        "paired": {
            "correct - none": EFFECT,
            "shuffled - none": {**EFFECT, "detectable": None},
        },
    }
}


def test_every_picture_is_written_with_the_same_bytes_each_time(tmp_path: Path) -> None:
    first = figures.write_all(tmp_path / "one", RESULTS)
    second = figures.write_all(tmp_path / "two", RESULTS)
    assert [path.name for path in first] == [
        "compare_regimes.png",
        "compare_effects.png",
        "compare_link.png",
    ]
    for one, two in zip(first, second, strict=True):
        assert one.read_bytes().startswith(b"\x89PNG")
        assert one.read_bytes() == two.read_bytes()


def test_a_single_regime_has_pictures_too(tmp_path: Path) -> None:
    single = {"x": {"regimes": {"none": {"answer": ESTIMATE}}, "paired": {}}}
    assert all(path.is_file() for path in figures.write_all(tmp_path, single))
    assert all(path.is_file() for path in figures.write_all(tmp_path, {}))


def test_long_settings_neither_squeeze_the_axes_nor_are_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(
        Figure, "savefig", lambda figure, *_, **__: (figure.canvas.draw(), drawn.append(figure))
    )
    monkeypatch.setattr(figures, "atomic_file", lambda path: nullcontext(path))
    differ = ", ".join(f"train.some_parameter_{n} {n}" for n in range(9))
    figures.write_all(tmp_path, {f"small on worlds, {differ}": RESULTS["small on worlds"]})
    assert len(drawn) == 3
    for figure in drawn:
        (axes,) = figure.axes
        assert axes.get_position().width > 0.6
        edge = figure.bbox.width
        headings = [text for text in axes.texts if text.get_weight() == "bold"]
        assert " ".join(text.get_text() for text in headings).endswith("train.some_parameter_8 8")
        assert all(text.get_window_extent().x1 <= edge for text in headings)
