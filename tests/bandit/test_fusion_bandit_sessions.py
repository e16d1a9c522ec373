"""A session moves its own weights at once, nobody else's, and is never counted twice."""

import datetime as dt

import numpy as np
import pytest

from rankloom.bandit import FusionBandit

ARMS = ["text", "image"]
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
LATER = NOW + 61 * MINUTE
KINDS = pytest.mark.parametrize("scored", [False, True], ids=["beta", "linear"])


def event(n, arm, types=("impression",), at=NOW, *, scored=False, **fields):
    metadata = {"country": "de"}
    if scored:
        metadata["features"] = {a: {"score": 0.9 if a == arm else 0.2} for a in ARMS}
    return {
        "execution_id": f"e{n}",
        "feature_id": f"d{n}",
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": arm,
        "timestamp": at.isoformat(),
        "metadata": metadata,
        **fields,
    }


def learnt(*, scored=False, days_ago=1):
    """A past in which both channels did as well."""
    bandit = FusionBandit(ARMS, segment_by=["country"])
    at = NOW - dt.timedelta(days=days_ago)
    types = ["impression"], ["impression", "click"], ["impression"]
    bandit.update(
        [
            event(
                f"past{i}",
                ARMS[i % 2],
                types[i // 2 % 3],
                at,
                scored=scored,
                user_id=f"u{i % 9}",
                session_id=f"past{i // 10}",
            )
            for i in range(360)
        ]
    )
    return bandit


def live(bandit, n=0, session="s", user="u1", **fields):
    made = event(f"live{n}", "image", ["impression", "purchase"], session_id=session, **fields)
    bandit.observe({**made, "user_id": user}, now=NOW)


@KINDS
def test_the_first_click_moves_its_own_weights_at_once_and_nobody_elses(scored):
    bandit = learnt(scored=scored)
    asked = {"user_id": "u1", "segment": "de", "now": NOW}
    before = {s: bandit.sample(session_id=s, **asked) for s in ("s", "t", "v")}
    live(bandit, scored=scored)
    after = {s: bandit.sample(session_id=s, **asked) for s in ("s", "t", "v")}
    assert after["s"]["image"] > before["s"]["image"]
    assert after["t"] == before["t"]
    assert after["v"] == before["v"]


@KINDS
def test_without_an_event_of_the_session_the_draw_is_bit_for_bit_the_long_term_one(scored):
    bandit = learnt(scored=scored)
    live(bandit, session="another", scored=scored)
    asked = {"session_id": "s", "now": NOW}
    without = bandit.sample(**asked)
    assert without == bandit.snapshot().sample(session_id="s")
    assert without == bandit.sample(**{**asked, "now": LATER})
    assert bandit.mean(**asked) == bandit.mean()


@KINDS
def test_after_the_hour_the_long_term_state_has_the_event_once(scored):
    bandit, batch = learnt(scored=scored), learnt(scored=scored)
    live(bandit, scored=scored)
    batch.update(
        [
            event(
                "live0",
                "image",
                ["impression", "purchase"],
                scored=scored,
                session_id="s",
                user_id="u1",
            )
        ]
    )
    asked = {"user_id": "u1", "segment": "de"}
    assert bandit.mean(session_id="s", now=NOW, **asked) != bandit.mean(now=NOW, **asked)
    assert bandit.mean(session_id="s", now=LATER, **asked) == bandit.mean(now=LATER, **asked)
    assert bandit.mean(now=LATER, **asked) == pytest.approx(batch.mean(**asked), rel=1e-12)


@KINDS
def test_a_session_that_the_posterior_has_seen_already_is_not_counted_twice(scored):
    """Its weights do not depend on whether the posterior was renewed since its events."""
    asked = {"user_id": "u1", "segment": "de", "session_id": "s", "now": NOW}
    stale, fresh = learnt(scored=scored), learnt(scored=scored)
    for bandit in (stale, fresh):
        bandit.sample(**asked)
        live(bandit, 0, scored=scored)
        live(bandit, 1, scored=scored)
    seen = stale.sample(**asked)
    fresh.refresh()
    again = fresh.sample(**asked)
    assert seen.snapshot_id != again.snapshot_id
    # How sharp weights are and how much users lean is made from all evidence, and moved a little.
    assert again == pytest.approx(seen, abs=0.02)
    view = fresh._view(fresh._present_within(0.0), ("segment", "de"), "u1", "s", NOW)
    old = stale._view(stale._present, ("segment", "de"), "u1", "s", NOW)
    for level in ((), ("segment", "de")):
        ours, theirs = view.posterior.levels[level], old.posterior.levels[level]
        whole = fresh.snapshot().posterior.levels[level]
        for name in ["beta", "linear"] if scored else ["beta"]:
            part, expected = getattr(ours, name).mean, getattr(theirs, name).mean
            np.testing.assert_allclose(part, expected, rtol=1e-3)
            assert getattr(whole, name).mean[1] > expected[1] * 1.004
    # Sums refer to the newest unit's time: those of the renewed one a day later.
    aged = 2.0 ** -(1 / 138)
    np.testing.assert_allclose(view.user.N, aged * old.user.N, rtol=1e-9)
    np.testing.assert_allclose(view.user.S, aged * old.user.S, rtol=1e-9)
    np.testing.assert_allclose(view.session.S, old.session.S, rtol=1e-9)


def test_a_backfilled_event_moves_no_session():
    bandit = learnt()
    asked = {"session_id": "s", "now": NOW}
    made = event("b", "image", ["impression", "purchase"], session_id="s")
    bandit.observe({**made, "occurred_at": NOW.isoformat()}, now=NOW)
    assert bandit.explain(**asked).session_units == 0
    assert bandit.sample(**asked) == bandit.snapshot().sample(session_id="s")


def test_a_session_long_after_all_other_evidence_counts_its_own_exposures_as_one():
    """The long-term sums refer to the newest of their units, years before the session."""
    bandit = learnt(days_ago=20 * 365)
    bandit.sample(session_id="s", now=NOW)
    recent = learnt()
    recent.sample(session_id="s", now=NOW)
    for each in (bandit, recent):
        live(each)
    sums = [each._view(each._present, (), None, "s", NOW).session for each in (bandit, recent)]
    assert sums[0].N.tolist() == pytest.approx([0.0, 1.0])
    assert sums[0].S.tolist() == pytest.approx(sums[1].S.tolist())


def test_a_tiny_half_life_overflows_nothing():
    bandit = FusionBandit(ARMS, half_life=1e-6)
    bandit.update([event(i, ARMS[i % 2], at=NOW - MINUTE) for i in range(400)])
    bandit.sample(session_id="s", now=NOW)
    live(bandit)
    served = bandit.sample(session_id="s", now=NOW)
    assert np.isfinite(list(served.values())).all()
    assert served["image"] > 0.5


def test_a_session_sees_the_posterior_move_and_never_the_dice():
    bandit = learnt()
    drawn = []
    for n in range(10):
        live(bandit, n)
        drawn.append(bandit.sample(session_id="s", now=NOW)["image"])
    assert drawn == sorted(drawn)
    assert drawn[-1] > drawn[0]


def test_an_explanation_counts_the_sessions_documents():
    bandit = learnt()
    live(bandit)
    found = bandit.explain(session_id="s", now=NOW)
    assert found.session_units == 1
    assert "session: 1 documents of the last hour move it" in str(found)
    assert found.arms[1].weight == bandit.mean(session_id="s", now=NOW)["image"]
