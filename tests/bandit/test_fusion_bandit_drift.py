"""When a channel's quality flips, weights follow, however late the rows arrive."""

import datetime as dt

import numpy as np
import pytest

from rankloom.bandit import FusionBandit

ARMS = ["text", "image"]
START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
HALF_LIFE = 10.0
FLIP = 60.0
END = FLIP + 2 * HALF_LIFE


def drifting(seed=0, per_day=60):
    """(day, row): text is good before the flip, image after it."""
    rng = np.random.default_rng(seed)
    made = []
    for n, day in enumerate(np.sort(rng.uniform(0, END, int(END * per_day)))):
        arm = int(rng.integers(2))
        rate = 0.5 if (arm == 0) == (day < FLIP) else 0.15
        made.append((float(day), n, arm, bool(rng.random() < rate)))
    return [
        (
            day,
            {
                "execution_id": f"e{n}",
                "feature_id": "d",
                "interaction_type": ["impression", "click"] if clicked else ["impression"],
                "position": 0,
                "feature_uri": ARMS[arm],
                "occurred_at": (START + dt.timedelta(days=day)).isoformat(),
            },
        )
        for day, n, arm, clicked in made
    ]


def test_means_cross_within_two_half_lives():
    rows = drifting()
    bandit = FusionBandit(ARMS, half_life=HALF_LIFE)
    bandit.update([row for day, row in rows if day < FLIP])
    assert bandit.mean()["text"] > 0.8
    bandit.update([row for day, row in rows if day >= FLIP])
    assert bandit.mean()["image"] > bandit.mean()["text"]


def test_late_arrivals_end_in_the_state_of_the_order_in_which_things_happened():
    rows = drifting(1)
    rng = np.random.default_rng(2)
    late = [day + (rng.exponential(4.0) if rng.random() < 0.3 else 0.0) for day, _ in rows]
    arrival = np.argsort(late, kind="stable")
    assert (np.diff(arrival) < 0).any()
    in_order, as_arrived = (FusionBandit(ARMS, half_life=HALF_LIFE) for _ in range(2))
    in_order.update([row for _, row in rows])
    for part in np.array_split(arrival, 40):
        as_arrived.update([rows[i][1] for i in part])
    expected, found = in_order.evidence.sums(), as_arrived.evidence.sums()
    for name in "NSFQ":
        np.testing.assert_allclose(getattr(found, name), getattr(expected, name), rtol=1e-9)
    assert as_arrived.mean() == pytest.approx(in_order.mean(), rel=1e-9)
    assert as_arrived.mean()["image"] > as_arrived.mean()["text"]
