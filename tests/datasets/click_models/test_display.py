"""Pictures of click models show their perplexity and how well they are calibrated."""

from __future__ import annotations

import numpy as np
import pytest

from rankloom.datasets.click_models import PBM, CalibrationDisplay, PerplexityDisplay
from rankloom.errors import InvalidInputError


@pytest.fixture(scope="module")
def log(own_log):
    return own_log(PBM, 600)[1]


@pytest.fixture(scope="module")
def model(log):
    return PBM().fit(log)


def test_perplexity_is_that_of_the_model_within_its_interval(model, log, axes):
    display = PerplexityDisplay.from_models({"PBM": model}, log)
    found = model.perplexity(log)
    np.testing.assert_allclose(display.perplexity["PBM"], found.by_position)
    assert (display.lower["PBM"] < found.by_position).all()
    assert (display.upper["PBM"] > found.by_position).all()
    display.plot(axes)
    np.testing.assert_allclose(axes.lines[0].get_ydata(), found.by_position)
    assert axes.get_legend_handles_labels()[1] == [f"PBM (mean {found.overall:.4f})"]


def test_each_bin_shows_how_often_its_rows_were_clicked(model, log, axes):
    display = model.plot_calibration(log, axes, bins=4)
    assert isinstance(display, CalibrationDisplay)
    chance = model.row_click_probability(log)
    edges = np.quantile(chance, [0.25, 0.5, 0.75])
    of_row = np.searchsorted(edges, chance, side="right")
    clicked = [log.clicked[of_row == number].mean() for number in range(4)]
    np.testing.assert_allclose(display.observed["PBM"], clicked)
    np.testing.assert_allclose(
        display.predicted["PBM"], [chance[of_row == number].mean() for number in range(4)]
    )
    np.testing.assert_allclose(axes.lines[0].get_ydata(), clicked)
    assert "90% interval" in axes.get_ylabel()


def test_equal_probabilities_share_a_bin(log):
    constant = PBM().fit(log)
    constant.row_click_probability = lambda pairs, **_: np.full(len(pairs), 0.25)
    display = CalibrationDisplay.from_models({"same": constant}, log, bins=10)
    assert display.predicted["same"].tolist() == [0.25]
    np.testing.assert_allclose(display.observed["same"], [log.clicked.mean()])


def test_what_cannot_be_drawn_is_refused(model, log):
    with pytest.raises(InvalidInputError, match="not fitted"):
        PBM().plot_calibration(log)
    with pytest.raises(InvalidInputError, match="at least 1 bin"):
        model.plot_calibration(log, bins=0)
