"""Styles and helpers that displays share."""

import numpy as np
import pytest

from rankloom._shared import drawing

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


def test_no_two_of_56_styles_are_alike_without_colour_and_dashes():
    looks = {(style.color, style.marker) for style in map(drawing.style_of, range(56))}
    assert len(looks) == 56


def test_neighbouring_styles_differ_by_marker_and_by_dash():
    for number in range(8):
        one, other = drawing.style_of(number), drawing.style_of(number + 1)
        assert one.marker != other.marker
        assert one.linestyle != other.linestyle


def test_the_first_two_colours_are_far_apart_in_grey():
    grey = [
        np.dot(matplotlib.colors.to_rgb(colour), (0.299, 0.587, 0.114))
        for colour in drawing.COLOURS[:2]
    ]
    assert abs(grey[0] - grey[1]) > 0.25


def test_intervals_are_drawn_from_their_lower_to_their_upper_ends(axes):
    drawing.draw_rows(axes, [1.0, 2.0], lower=[0.5, np.nan], upper=[1.5, np.nan])
    first, second = axes.collections[0].get_segments()
    np.testing.assert_array_equal(first, [[0.5, 0.0], [1.5, 0.0]])
    assert len(second) == 0


def test_rows_run_from_the_top_down(axes):
    drawing.name_rows(axes, ["first", "second"])
    assert axes.yaxis_inverted()
    assert [text.get_text() for text in axes.get_yticklabels()] == ["first", "second"]


def test_a_name_is_never_read_as_mathematics(axes):
    axes.set_title(drawing.literal("from $5 to $_{"))
    axes.figure.canvas.draw()  # an unclosed formula raises here


def test_a_dollar_is_shown_as_it_is(axes):
    """Once: what is escaped twice shows a backslash."""
    drawing.name_rows(axes, ["$5 off"])
    assert [text.get_text() for text in axes.get_yticklabels()] == [r"\$5 off"]


def test_a_legend_has_a_row_of_its_own(axes):
    drawing.draw_rows(axes, [1.0, 2.0], 0, label="one")
    drawing.draw_rows(axes, [1.0, 2.0], 1, label="other")
    drawing.name_rows(axes, ["first", "second"])
    drawing.legend_under_rows(axes)
    axes.figure.canvas.draw()
    box = axes.get_legend().get_window_extent().transformed(axes.transData.inverted())
    assert min(box.y0, box.y1) > 1.0  # below the last row: the axis is inverted


@pytest.mark.parametrize("text", ["x" * 36, "a\n  b"])
def test_short_names_stay_whole_on_one_line(text):
    assert drawing.shortened(text) == " ".join(text.split())


def test_a_logarithmic_axis_has_plain_numbers(axes):
    axes.plot([0, 1], [1.0, 0.05])
    drawing.log_axis(axes, "y")
    axes.figure.canvas.draw()
    texts = [text.get_text() for text in axes.get_yticklabels()]
    assert {"0.1", "0.2", "0.5", "1"} <= set(texts)
