"""The picture of a posterior shows densities whose mass, mean and interval are the posterior's."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from rankloom.bandit import PosteriorDisplay
from rankloom.bandit.posterior.beta import BetaPosterior
from rankloom.bandit.posterior.fusion_posterior import FusionPosterior, Level
from rankloom.bandit.posterior.linear import LinearPosterior
from rankloom.bandit.posterior.simplex import Bounds

SEGMENT = ("segment", "mobile")


@pytest.fixture
def posterior():
    top = BetaPosterior(np.array([0.2, 0.4]), np.array([50.0, 80.0]))
    mobile = BetaPosterior(np.array([0.3, 0.5]), np.array([20.0, 30.0]))
    levels = {(): Level(top), SEGMENT: Level(mobile)}
    return FusionPosterior(("bm25", "clip"), levels, 2.0, 1.0, Bounds.of(2, floor=None, cap=None))


def test_densities_are_those_of_beta_distributions(posterior, axes):
    display = PosteriorDisplay.from_posterior(posterior).plot(axes)
    assert display.quantity == "success rate"
    mass = np.trapezoid(display.density, display.grid, axis=1)
    np.testing.assert_allclose(mass, 1.0, atol=2e-3)
    np.testing.assert_allclose(display.density[0], stats.beta(10, 40).pdf(display.grid))
    assert display.lower[1] == pytest.approx(stats.beta(32, 48).ppf(0.05))
    assert display.upper[1] == pytest.approx(stats.beta(32, 48).ppf(0.95))
    np.testing.assert_array_equal(axes.lines[0].get_ydata(), display.density[0])
    assert axes.lines[1].get_xdata() == [0.2]


def test_a_segment_shows_its_own(posterior):
    own = PosteriorDisplay.from_posterior(posterior, SEGMENT)
    assert own.mean.tolist() == [0.3, 0.5]
    unknown = PosteriorDisplay.from_posterior(posterior, ("segment", "tv"))
    assert unknown.mean.tolist() == [0.2, 0.4]


def test_slopes_are_normal(posterior, axes):
    linear = LinearPosterior(np.array([0.1, -0.2]), np.array([[0.05, 0.01], [0.01, 0.03]]))
    level = Level(posterior.level().beta, linear)
    slopes = FusionPosterior(("bm25", "clip"), {(): level}, 2.0, 2.0, posterior.bounds)
    display = PosteriorDisplay.from_posterior(slopes).plot(axes)
    deviation = np.sqrt(np.diag(linear.root @ linear.root.T))
    np.testing.assert_allclose(display.upper, linear.mean + stats.norm.ppf(0.95) * deviation)
    np.testing.assert_allclose(np.trapezoid(display.density, display.grid, axis=1), 1, atol=2e-3)
    assert "slope" in axes.get_xlabel()
