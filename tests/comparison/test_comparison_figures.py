"""Pictures across experiments: all are written, and the same input gives the same bytes."""

from pathlib import Path
from typing import Any

import matplotlib as mpl
import pytest

from tracekd.comparison import figures
from tracekd.comparison.headings import headings, shortened
from tracekd.report.figures import STYLE

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


def long_settings() -> dict[str, Any]:
    """Results whose labels are whole prompts and paths."""
    shared = "Answer the question based on the context, which may hold more than is asked. " * 4
    found = {}
    for last in ("Only return the answer.", "Explain $each$ step before you answer."):
        params = {
            "data_seed": "0",
            "models.yaml:small.random.template": "/a/path/without/any/blank" * 8 + last[:1],
            "prompt.template": f'"{shared}{last}"',
        }
        told = ", ".join(f"{name} {value}" for name, value in params.items())
        one = RESULTS["small on worlds"]
        found[f"small on worlds, {told}"] = {
            "model": "small",
            "dataset": "worlds",
            "params": params,
            "regimes": one["regimes"] | {"incorrect": one["regimes"]["correct"]},
            "paired": {"incorrect - correct": EFFECT, "wrong_facts - class_only": EFFECT},
        }
    return found


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("name", list(figures.DRAWINGS))
def test_long_settings_leave_the_axes_wide_and_every_label_whole(name: str, named: bool) -> None:
    results = long_settings()
    if not named:  # so that nothing is known but the whole label
        results = {
            label: {part: one[part] for part in ("regimes", "paired")}
            for label, one in results.items()
        }
    with mpl.rc_context(STYLE):
        figure = figures.picture(figures.DRAWINGS[name], results)
        figure.draw_without_rendering()
    (axes,) = figure.axes
    assert axes.get_position().width > 0.7
    assert axes.get_position().height * figure.get_figheight() > 1
    frame = figure.bbox
    texts = [*axes.texts, *axes.get_yticklabels(), axes.title]
    for text in texts:
        box = text.get_window_extent()
        assert frame.x0 <= box.x0 <= box.x1 <= frame.x1, text.get_text()
        assert frame.y0 <= box.y0 <= box.y1 <= frame.y1, text.get_text()
    labels = [text.get_window_extent() for text in axes.get_yticklabels()]
    for heading in axes.texts:
        assert not any(heading.get_window_extent().overlaps(label) for label in labels)


@pytest.mark.parametrize("name", list(figures.DRAWINGS))
def test_a_heading_of_wide_letters_does_not_shrink_the_axes(name: str) -> None:
    with mpl.rc_context(STYLE):
        figure = figures.picture(figures.DRAWINGS[name], {"W" * 200: RESULTS["small on worlds"]})
        figure.draw_without_rendering()
    assert figure.axes[0].get_position().width > 0.7


def test_headings_tell_of_long_parameters_what_differs() -> None:
    first, second = headings(long_settings()).values()
    assert first == (
        "small on worlds, data_seed 0, models.yaml:small.random.template …O, "
        "prompt.template …Only return the…"
    )
    assert second.endswith("prompt.template …Explain $each$ step before you…")
    assert headings({"x": {}}) == {"x": "x"}


def test_headings_that_would_be_the_same_are_left_whole() -> None:
    values = ["a" * 99, "b" * 99 + "c", "b" * 99 + "d"]
    results = {
        f"m on d, p {value}": {"model": "m", "dataset": "d", "params": {"p": value}}
        for value in values
    }
    assert headings(results) == {label: label for label in results}


def test_a_value_within_another_is_still_told() -> None:
    assert list(shortened(["x" * 40, "x" * 50]).values()) == ["…", "…xxxxxxxxxx"]
    assert shortened(["2", "3"]) == {"2": "2", "3": "3"}
