"""Sharpening and the projection to floors and caps."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import brentq

from rankloom.bandit.posterior.simplex import Bounds, sharpen, sharpness
from rankloom.errors import InvalidInputError

CHANNELS = [1, 2, 5, 25, 200]


@st.composite
def weights_and_bounds(draw, lowest=0.0, counts=(1, 2, 3, 5, 25)):
    count = draw(st.sampled_from(counts))
    weights = draw(arrays(np.float64, count, elements=st.floats(lowest, 1.0)))
    assume(weights.sum() > 1e-6)
    floor = draw(st.floats(0.0, 1.0)) / count
    cap = 1 / count + (1 - 1 / count) * draw(st.floats(0.0, 1.0))
    return weights, Bounds.of(count, floor=floor, cap=cap)


@given(weights_and_bounds())
def test_projected_weights_sum_to_one_within_the_bounds(case):
    weights, bounds = case
    projected = bounds.project(weights)
    assert projected.sum() == pytest.approx(1.0, abs=1e-12)
    assert projected.min() >= bounds.floor
    assert projected.max() <= bounds.cap


@given(weights_and_bounds())
def test_projecting_twice_changes_nothing(case):
    weights, bounds = case
    projected = bounds.project(weights)
    assert np.array_equal(bounds.project(projected), projected)


@given(weights_and_bounds())
def test_free_weights_keep_their_ratios_and_held_ones_their_order(case):
    weights, bounds = case
    projected = bounds.project(weights)
    free = (projected > bounds.floor + 1e-9) & (projected < bounds.cap - 1e-9) & (weights > 1e-9)
    if free.any():
        scale = projected[free] / weights[free]
        assert scale == pytest.approx(np.full(len(scale), scale[0]), rel=1e-9)
    order = np.argsort(weights, kind="stable")
    assert np.diff(projected[order]).min(initial=0.0) >= -1e-12


@given(weights_and_bounds(lowest=0.001, counts=(2, 3, 5, 25)))
def test_the_projection_is_the_clip_that_a_root_finder_finds(case):
    weights, bounds = case

    def excess(log_t):
        return np.clip(np.exp(log_t) * weights, bounds.floor, bounds.cap).sum() - 1

    assume(excess(-20.0) < 0 < excess(20.0))
    expected = np.exp(brentq(excess, -20, 20, xtol=1e-13)) * weights
    assert bounds.project(weights) == pytest.approx(
        np.clip(expected, bounds.floor, bounds.cap), abs=1e-9
    )


def test_weights_of_zero_share_what_a_cap_leaves():
    assert Bounds.of(3, floor=0.0, cap=0.8).project(np.array([1.0, 0.0, 0.0])) == pytest.approx(
        [0.8, 0.1, 0.1]
    )


@pytest.mark.parametrize("count", CHANNELS)
def test_default_bounds_hold_together_for_any_number_of_channels(count):
    bounds = Bounds.of(count)
    assert bounds.floor == min(0.05, 1 / (4 * count))
    assert bounds.cap == max(0.95, 1 - (count - 1) * bounds.floor)
    one_hot = np.eye(count)[0]
    for weights in (one_hot, np.full(count, 1 / count), np.arange(1.0, count + 1)):
        projected = bounds.project(weights)
        assert projected.sum() == pytest.approx(1.0, abs=1e-12)
        assert bounds.floor <= projected.min() <= projected.max() <= bounds.cap
    assert bounds.project(one_hot)[0] == pytest.approx(
        min(bounds.cap, 1 - (count - 1) * bounds.floor)
    )


@pytest.mark.parametrize(
    ("floor", "cap", "named"),
    [
        (0.21, None, "floor"),
        (-0.01, None, "floor"),
        (float("nan"), None, "floor"),
        (None, 0.19, "cap"),
        (None, 1.01, "cap"),
        (None, float("nan"), "cap"),
    ],
)
def test_bounds_that_no_weights_can_hold_are_refused(floor, cap, named):
    with pytest.raises(InvalidInputError, match=f"{named}: got"):
        Bounds.of(5, floor=floor, cap=cap)


@pytest.mark.parametrize("count", CHANNELS)
def test_the_tightest_bounds_leave_equal_weights(count):
    bounds = Bounds.of(count, floor=1 / count, cap=1.0)
    assert bounds.project(np.arange(1.0, count + 1)) == pytest.approx(np.full(count, 1 / count))


def test_sharpness_rises_from_one_to_eight():
    assert sharpness(0.0) == 1.0
    assert sharpness(300.0, 8.0, 300.0) == pytest.approx(4.5)
    assert sharpness(1e12) == pytest.approx(8.0)
    assert (np.diff([sharpness(n) for n in np.geomspace(1, 1e6, 50)]) > 0).all()


def test_sharpening_takes_powers():
    theta = np.array([0.1, 0.2, 0.4])
    assert sharpen(theta, 1.0) == pytest.approx(theta / 0.7)
    assert sharpen(theta, 3.0) == pytest.approx(np.array([1, 8, 64]) / 73)


def test_sharpening_neither_overflows_nor_dies():
    assert sharpen(np.array([1e-300, 1e-290, 0.0]), 8.0) == pytest.approx([0, 1, 0], abs=1e-12)
    assert sharpen(np.full(200, 1e-320), 8.0) == pytest.approx(np.full(200, 1 / 200))
