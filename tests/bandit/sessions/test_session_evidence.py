"""A session moves by its own live units, and its user's sums are known without them."""

import datetime as dt

import numpy as np
import pytest

from rankloom.bandit.evidence.evidence import Evidence
from rankloom.bandit.sessions.live_sessions import LiveSessions

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
ARMS = ["text", "image"]
USER = [("user", "u")]


def event(document, types=("impression",), at=NOW, **fields):
    return {
        "execution_id": "e",
        "feature_id": document,
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": "text",
        "session_id": "s",
        "user_id": "u",
        "timestamp": at.isoformat(),
        "metadata": {"country": "de", "features": {"text": {"score": 0.5}}},
        **fields,
    }


@pytest.fixture
def evidence():
    """What other sessions of the same user have left behind."""
    made = Evidence(ARMS, segment_by=["country"])
    others = [
        event(f"o{i}", at=NOW - i * 300 * MINUTE, session_id=f"t{i}", execution_id=f"o{i}")
        for i in range(20)
    ]
    made.update(others)
    return made


def test_the_first_live_event_moves_its_session_at_once(evidence):
    assert evidence.session_sums("s", now=NOW).units == 0
    evidence.observe(event("a", ["impression", "purchase"]), now=NOW)
    sums = evidence.session_sums("s", now=NOW)
    assert (sums.units, sums.N.tolist(), sums.S.tolist()) == (1, [1.0, 0.0], [1.0, 0.0])
    assert evidence.session_sums("another", now=NOW).units == 0


def test_a_backfilled_event_moves_no_session(evidence):
    evidence.observe(event("a", occurred_at=NOW.isoformat()), now=NOW)
    evidence.update([event("b")])
    assert evidence.session_sums("s", now=NOW).units == 0


def test_the_part_of_a_session_is_out_of_its_users_sums_and_back_after_the_hour(evidence):
    without = evidence.sums(USER, time=NOW)
    for i in range(3):
        evidence.observe(event(f"d{i}"), now=NOW)
    evidence.observe(event("d1", ["click", "skip"]), now=NOW)
    evidence.observe(event("d9", user_id="another"), now=NOW)
    whole = evidence.sums(USER, time=NOW)
    sums = evidence.session_sums("s", now=NOW, user_id="u", time=NOW)
    assert sums.units == 4
    assert sums.F[0] > 0
    for name in "NSF":
        left = getattr(whole, name)[0] - getattr(sums.of_user, name)
        np.testing.assert_allclose(left, getattr(without, name)[0], rtol=1e-9, atol=1e-12)
    later = evidence.session_sums("s", now=NOW + 61 * MINUTE, user_id="u")
    assert (later.units, later.of_user.N.tolist()) == (0, [0.0, 0.0])
    # Nothing is lost by expiry: the long-term sums have had the events all the time.
    assert evidence.sums(USER, time=NOW).N[0, 0] == whole.N[0, 0]


@pytest.mark.parametrize("reset", ["reset_user", "opt_out"])
def test_units_from_before_a_reset_count_neither_for_the_session_nor_in_the_users_part(
    evidence, reset
):
    for i in range(3):
        evidence.observe(event(f"d{i}"), now=NOW)
    evidence.observe(event("a", user_id="another"), now=NOW)
    getattr(evidence, reset)("u", at=NOW + MINUTE)
    for i in range(2):
        later = NOW + 2 * MINUTE
        evidence.observe(event(f"later{i}", at=later), now=later)
    sums = evidence.session_sums("s", now=NOW + 2 * MINUTE, user_id="u", time=NOW + 2 * MINUTE)
    counted = 2 if reset == "reset_user" else 0
    assert sums.units == counted + 1
    assert sums.of_user.N[0] == pytest.approx(counted)
    whole = evidence.sums(USER, time=NOW + 2 * MINUTE)
    np.testing.assert_allclose(sums.of_user.N, whole.N[0])


def test_a_batch_that_completes_a_live_unit_reaches_its_session(evidence):
    evidence.observe(event("a"), now=NOW)
    evidence.update([event("a", ["purchase"], at=NOW + MINUTE)])
    assert evidence.session_sums("s", now=NOW + MINUTE).S[0] == pytest.approx(1.0, rel=1e-4)


def test_closed_units_are_no_longer_the_sessions(evidence):
    evidence.observe(event("a"), now=NOW)
    evidence.compact(NOW + MINUTE)
    assert evidence.session_sums("s", now=NOW).units == 0


def test_sessions_survive_a_restart(evidence):
    evidence.observe(event("a"), now=NOW)
    again = Evidence.from_bytes(evidence.to_bytes())
    sums = again.session_sums("s", now=NOW, user_id="u")
    assert (sums.units, sums.N[0], sums.of_user.N[0]) == (1, 1.0, 1.0)


@pytest.mark.parametrize("way", ["merge", "rows"])
def test_live_units_of_another_process_move_their_session(evidence, way):
    other = evidence.fresh()
    other.observe(event("a"), now=NOW)
    if way == "merge":
        evidence.merge(other)
    else:
        values = [row.value for row in other.unit_rows()]
        evidence.fold_unit_values(values, other.segments)
    sums = evidence.session_sums("s", now=NOW, user_id="u")
    assert (sums.units, sums.N[0], sums.of_user.N[0]) == (1, 1.0, 1.0)


def test_a_deleted_user_has_no_session(evidence):
    evidence.observe(event("a"), now=NOW)
    evidence.delete_user("u", at=NOW)
    assert evidence.session_sums("s", now=NOW).units == 0


def test_old_sessions_are_forgotten(evidence):
    for i in range(50):
        at = NOW + i * 10 * MINUTE
        evidence.observe(event(f"d{i}", session_id=f"s{i}", at=at), now=at)
    # Two hours are remembered, at ten minutes a session.
    assert len(evidence.state.sessions) == 13


def test_live_sessions_are_bounded_and_those_that_rest_longest_go_first():
    """Memory stays the same however many sessions there are at once; the sums hold all."""
    evidence = Evidence(["text"])
    sessions = evidence.state.sessions = LiveSessions(most=40)
    for number in range(60):
        for session in ("busy", f"s{number}") if number < 30 else (f"s{number}",):
            shown = event("d", execution_id=f"{session}-{number}", session_id=session)
            evidence.observe(shown, now=NOW)
    later = NOW + MINUTE
    units = [evidence.session_sums(f"s{n}", now=later).units for n in range(60)]
    assert units == [0] * units.count(0) + [1] * units.count(1)
    assert 0 < units.count(0) < 60
    remembered = sessions.all().values()
    assert sum(len(each) for each in remembered) == sessions.units <= 40
    assert all(len(each) > 0 for each in remembered)
    assert evidence.summary.open_units == 90
