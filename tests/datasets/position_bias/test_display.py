"""Displays draw what they hold, on the axes they are given."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rankloom.datasets import PositionBias, PositionBiasDisplay, SwapGraphDisplay
from rankloom.errors import InvalidInputError

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


def test_the_line_is_the_curve_and_the_shade_the_band(axes, simulated):
    bias = PositionBias(n_bootstrap=20).fit(simulated(1000))
    display = bias.plot(axes)
    assert isinstance(display, PositionBiasDisplay)
    assert display.ax_ is axes
    assert display.figure_ is axes.figure
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), bias.examination_)
    outline = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert outline.max() == pytest.approx(1.0)
    assert outline.min() == pytest.approx(bias.band_lower_.min())


def test_every_context_value_has_a_labelled_line(axes, simulated):
    import polars as pl

    device = pl.Series(["mobile", "desktop"] * 1000)
    bias = PositionBias(by="device", n_bootstrap=20)
    bias.fit(simulated(2000, context={"device": device})).plot(axes)
    assert [line.get_label() for line in axes.lines] == ["desktop", "mobile"]
    assert axes.get_legend() is not None


def test_a_given_curve_draws_without_limits_or_warnings(axes):
    PositionBias.from_curve([1.0, 0.5]).plot(axes)
    assert axes.lines[0].get_ydata().tolist() == [1.0, 0.5]


def test_the_truth_is_drawn_relative_to_its_first_position(axes):
    PositionBias.from_curve([1.0, 0.5]).plot(axes, truth=[0.8, 0.2])
    assert axes.lines[1].get_ydata().tolist() == [1.0, 0.25]
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["auto", "truth"]


def test_a_logarithmic_axis_is_drawn_on_demand(axes):
    PositionBias.from_curve([1.0, 0.5]).plot(axes, log=True)
    assert axes.get_yscale() == "log"


@pytest.mark.parametrize("truth", [[1.0, 0.0], [], [[1.0]]])
def test_a_truth_that_is_no_curve_is_refused(truth):
    with pytest.raises(InvalidInputError, match="truth: expected"):
        PositionBias.from_curve([1.0]).plot(truth=truth)


def test_intervals_stand_at_their_positions(axes, simulated):
    bias = PositionBias("all_pairs", n_bootstrap=20).fit(simulated(1000))
    bias.plot(axes)
    for position, segment in enumerate(axes.collections[1].get_segments()):
        assert segment[:, 0].tolist() == [position, position]
        assert segment[:, 1].tolist() == [bias.lower_[position], bias.upper_[position]]


def test_swaps_are_drawn_cell_by_cell_without_the_diagonal(axes, simulated):
    bias = PositionBias("all_pairs", n_bootstrap=0).fit(simulated(1000))
    display = bias.plot_swaps(axes)
    assert isinstance(display, SwapGraphDisplay)
    drawn = axes.images[0].get_array()
    off = ~np.eye(len(bias.swaps_), dtype=bool)
    np.testing.assert_array_equal(drawn.filled(0)[off], bias.swaps_[off])
    assert drawn.mask.diagonal().all()
    assert display.tied.sum() == len(bias.examination_)


def test_positions_that_are_not_tied_are_crossed_out(axes):
    swaps = np.array([[9, 4, 0], [4, 7, 0], [0, 0, 3]])
    SwapGraphDisplay(swaps, tied=np.array([True, True, False])).plot(axes)
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[2.0, 2.0]]]
    assert sorted(text.get_text() for text in axes.texts) == ["4", "4"]


def test_a_given_curve_has_no_swaps_to_draw():
    with pytest.raises(InvalidInputError, match="was given"):
        PositionBias.from_curve([1.0, 0.5]).plot_swaps()


def test_without_axes_a_figure_is_made():
    import matplotlib.pyplot as plt

    display = PositionBias.from_curve([1.0, 0.5]).plot()
    assert display.ax_.figure is display.figure_
    plt.close(display.figure_)


def test_matplotlib_is_not_imported_before_drawing():
    code = (
        "import sys; from rankloom.datasets import PositionBiasDisplay as D, PositionBias as P; "
        "D({'': P.from_curve([1.0]).curve()}); sys.exit('matplotlib' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
