"""Change points: planted ones are found where they are, none where there are none."""

import numpy as np
import pytest

from rankloom.insights.statistics.change_points import change_points, first_change_p

WEEK = np.arange(56) % 7
RHYTHM = np.array([0, 0.2, 0.1, 0, 0.4, 3.0, 2.5])[WEEK]


def test_planted_changes_are_found_where_they_are():
    rng = np.random.default_rng(0)
    day = np.arange(56)
    series = RHYTHM + rng.normal(0, 0.5, 56) + 2.0 * (day >= 20) - 3.0 * (day >= 41)
    found = change_points(series, WEEK)
    assert [one.index for one in found] == [20, 41]
    for one, step in zip(found, (2.0, -3.0), strict=True):
        assert one.earliest <= one.index <= one.latest
        assert one.after - one.before == pytest.approx(step, abs=0.5)
        assert not one.gradual


def test_the_rhythm_of_the_week_is_no_change():
    rng = np.random.default_rng(1)
    p = [first_change_p(RHYTHM + rng.normal(0, 0.3, 56), WEEK) for _ in range(40)]
    assert np.mean(np.array(p) <= 0.05) <= 0.15
    assert np.mean(p) > 0.3


@pytest.mark.parametrize("memory", [0.0, 0.4])
def test_false_alarms_are_kept_also_where_days_depend_on_each_other(memory):
    alarms = 0
    for seed in range(120):
        noise = np.random.default_rng(seed).normal(0, 1, 56)
        for t in range(1, 56):
            noise[t] += memory * noise[t - 1]
        alarms += first_change_p(noise + RHYTHM, WEEK) <= 0.05
    assert alarms <= 14  # 6 expected at the level; 14 has a chance of 0.2 %


def test_a_slow_drift_is_called_gradual():
    rng = np.random.default_rng(2)
    found = change_points(
        np.linspace(0, 4, 56) + rng.normal(0, 0.3, 56), np.zeros(56, np.int64), 0.05
    )
    assert len(found) >= 1
    assert any(one.gradual for one in found)


def test_the_place_of_a_change_is_within_its_interval():
    inside = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        series = rng.normal(0, 1, 60) + 1.5 * (np.arange(60) >= 25)
        found = change_points(series, np.zeros(60, np.int64))
        inside += any(one.earliest <= 25 <= one.latest for one in found)
    assert inside >= 52


def test_short_and_constant_series_have_no_change():
    assert np.isnan(first_change_p(np.arange(5.0), np.zeros(5, np.int64)))
    assert first_change_p(np.ones(20), np.zeros(20, np.int64)) == 1.0
    assert change_points(np.ones(20), np.zeros(20, np.int64)) == []


def test_a_clean_step_is_found_without_noise():
    found = change_points(np.repeat([0.0, 1.0], 10), np.zeros(20, np.int64))
    assert [one.index for one in found] == [10]
