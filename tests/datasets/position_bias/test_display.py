"""Displays draw what they hold, on the axes they are given."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rankloom.datasets import PositionBias, PositionBiasDisplay

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")


@pytest.fixture
def axes():
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


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
