import pytest

from tracekd.report.style import find, percent, picture


def test_a_share_is_printed_in_percent_and_an_undefined_one_as_a_dash():
    assert (percent(0.2895), percent(0.2895, 0), percent(None)) == ("28.9 %", "29 %", "-")


def test_a_missing_part_of_a_path_is_no_value():
    tree = {"a": {"b": 0}, "c": 1}
    assert (find(tree, "a.b"), find(tree, "a.x"), find(tree, "c.b")) == (0, None, None)


@pytest.mark.parametrize(
    ("title", "lines"),
    [("Right traces " * 5, 1), ("Answers are right more often within classes " * 3, 2)],
)
def test_title_and_caption_are_as_wide_as_the_figure_and_outside_the_axes(tmp_path, title, lines):
    with picture(tmp_path / "x.png", title, (10, 7.4), "model and regime, " * 12) as figure:
        axes = figure.subplots()
        axes.set_title("below")
        axes.set_xlabel("above")
    heading, caption = (text for text in figure.texts)
    assert heading.get_text().count("\n") == lines - 1
    for text in (heading, caption):
        assert text.get_window_extent().x1 < figure.bbox.x1
    assert heading.get_window_extent().y0 > axes.title.get_window_extent().y1
    assert caption.get_window_extent().y1 < axes.xaxis.label.get_window_extent().y0
