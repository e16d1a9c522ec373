"""Pictures of weights show what a bandit serves, now and over time."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest

from rankloom.bandit import FusionBandit, LearningCurve, WeightsDisplay
from rankloom.bandit.store.snapshot_history import SnapshotHistory, SnapshotRecord, WeightInterval
from rankloom.errors import InvalidInputError

DAY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)


def test_a_bandit_shows_its_mean_weights_and_their_intervals(axes):
    rows = [
        {
            "execution_id": f"e{n}",
            "feature_id": "d",
            "position": 0,
            "feature_uri": ("bm25", "clip")[n % 2],
            "interaction_type": ["impression", *["click"][: n % 4 == 0]],
            "timestamp": "2026-01-31",
        }
        for n in range(80)
    ]
    bandit = FusionBandit(["bm25", "clip"])
    bandit.update(rows)
    display = bandit.plot(axes)
    assert isinstance(display, WeightsDisplay)
    assert dict(zip(display.feature_uris, axes.lines[0].get_xdata(), strict=True)) == bandit.mean()
    intervals = bandit.snapshot().intervals().values()
    for segment, interval in zip(axes.collections[0].get_segments(), intervals, strict=True):
        assert segment[:, 0].tolist() == [interval.low, interval.high]


def test_a_learning_curve_shows_every_step(axes):
    times = np.array(["2026-01-01", "2026-01-02"], "datetime64[us]")
    weights = np.array([[0.5, 0.5], [0.7, 0.3]])
    curve = LearningCurve(
        ("bm25", "clip"),
        times,
        np.array([5, 9]),
        weights,
        weights - 0.1,
        weights + 0.1,
        entropy=np.ones(2),
        confidence=0.8,
    )
    curve.plot(axes)
    named = {line.get_label(): line for line in axes.lines}
    np.testing.assert_array_equal(named["bm25"].get_ydata(), [0.5, 0.7])
    np.testing.assert_array_equal(named["clip"].get_ydata(), [0.5, 0.3])
    shade = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (shade.min(), shade.max()) == pytest.approx((0.4, 0.8))
    assert "80%" in axes.get_ylabel()
    assert "UTC" in axes.get_xlabel()


def test_a_history_is_drawn_in_order_of_time_with_gaps_for_unknown_channels(axes):
    old = SnapshotRecord("a", 1, DAY, "learner", {"bm25": WeightInterval(0.6, 0.5, 0.7)})
    both = {"bm25": WeightInterval(0.4, 0.3, 0.5), "clip": WeightInterval(0.6, 0.5, 0.7)}
    new = SnapshotRecord("b", 2, DAY + dt.timedelta(days=1), "learner", both)
    display = SnapshotHistory([new, old, SnapshotRecord("undated")], 0).plot(axes)
    assert display.feature_uris == ("bm25", "clip")
    assert display.times.astype("datetime64[D]").astype(str).tolist() == [
        "2026-01-01",
        "2026-01-02",
    ]
    np.testing.assert_array_equal(display.weights, [[0.6, np.nan], [0.4, 0.6]])
    np.testing.assert_array_equal(display.lower, [[0.5, np.nan], [0.3, 0.5]])
    np.testing.assert_array_equal(display.upper, [[0.7, np.nan], [0.5, 0.7]])


def test_a_history_without_times_has_nothing_to_draw():
    with pytest.raises(InvalidInputError, match="nothing to draw"):
        SnapshotHistory([SnapshotRecord("a")], 0).plot()
