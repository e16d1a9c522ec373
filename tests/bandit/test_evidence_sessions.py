"""A session moves by its own live units, which the long-term sums do not count twice."""

import datetime as dt

import numpy as np
import pytest

from rankloom.bandit._sessions import LiveSessions
from rankloom.bandit.evidence import Evidence

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
ARMS = ["text", "image"]
CONTEXTS = [(), ("segment", "de"), ("user", "u")]


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
    """What other sessions and users have left behind."""
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
    found = evidence.session_sums("s", now=NOW)
    assert (found.units, found.N.tolist(), found.S.tolist()) == (1, [1.0, 0.0], [1.0, 0.0])
    assert evidence.session_sums("another", now=NOW).units == 0


def test_a_backfilled_event_moves_no_session(evidence):
    evidence.observe(event("a", occurred_at=NOW.isoformat()), now=NOW)
    evidence.update([event("b")])
    assert evidence.session_sums("s", now=NOW).units == 0


def test_what_a_session_says_is_out_of_the_long_term_sums_and_back_after_the_hour(evidence):
    without = evidence.sums(CONTEXTS, time=NOW)
    for i in range(3):
        evidence.observe(event(f"d{i}"), now=NOW)
    evidence.observe(event("d1", ["click", "skip"]), now=NOW)
    whole = evidence.sums(CONTEXTS, time=NOW)
    found = evidence.session_sums("s", now=NOW, contexts=CONTEXTS, time=NOW)
    assert found.units == 3
    assert found.F[0] > 0
    for name in ("N", "S", "F", "Q", "A", "b"):
        left = getattr(whole, name) - getattr(found.own, name)
        np.testing.assert_allclose(left, getattr(without, name), rtol=1e-9, atol=1e-12)
    later = evidence.session_sums("s", now=NOW + 61 * MINUTE, contexts=CONTEXTS)
    assert later.units == 0
    assert later.own is None
    # Nothing is lost by expiry: the long-term sums have had the events all the time.
    assert evidence.sums(CONTEXTS, time=NOW).N[0, 0] == whole.N[0, 0]


def test_only_what_the_sums_had_seen_is_taken_out_of_them(evidence):
    """A service reads sums now and then; a click that came since is not in them."""
    evidence.observe(event("a"), now=NOW)
    sums, revision = evidence.sums(CONTEXTS, time=NOW), evidence.revision
    evidence.observe(event("a", ["purchase"]), now=NOW)
    evidence.observe(event("b"), now=NOW)
    found = evidence.session_sums("s", now=NOW, contexts=CONTEXTS, time=NOW, revision=revision)
    assert found.units == 2
    assert found.S[0] == pytest.approx(1.0)
    assert found.own.N[0, 0] == pytest.approx(1.0)
    assert found.own.S[0, 0] == 0.0
    assert (sums.N - found.own.N > -1e-12).all()
    before = evidence.session_sums("s", now=NOW, contexts=CONTEXTS, time=NOW, revision=0)
    assert before.own is None


def test_a_batch_that_completes_a_live_unit_is_seen_by_its_session(evidence):
    evidence.observe(event("a"), now=NOW)
    evidence.update([event("a", ["purchase"], at=NOW + MINUTE)])
    assert evidence.session_sums("s", now=NOW + MINUTE).S[0] == pytest.approx(1.0, rel=1e-4)


def test_closed_units_are_no_longer_the_sessions(evidence):
    evidence.observe(event("a"), now=NOW)
    evidence.compact(NOW + MINUTE)
    assert evidence.session_sums("s", now=NOW, contexts=CONTEXTS).units == 0


def test_sessions_survive_a_restart(evidence):
    evidence.observe(event("a"), now=NOW)
    again = Evidence.from_bytes(evidence.to_bytes())
    found = again.session_sums("s", now=NOW, contexts=CONTEXTS)
    assert found.own.N[:, 0].tolist() == [1.0, 1.0, 1.0]


@pytest.mark.parametrize("way", ["merge", "rows"])
def test_live_units_of_another_process_move_their_session(evidence, way):
    other = evidence.fresh()
    other.observe(event("a"), now=NOW)
    if way == "merge":
        evidence.merge(other)
    else:
        values = [row.value for row in other.unit_rows()]
        evidence.fold_unit_values(values, other.segments)
    found = evidence.session_sums("s", now=NOW, contexts=CONTEXTS, revision=evidence.revision)
    assert found.units == 1
    assert found.own.N[:, 0].tolist() == [1.0, 1.0, 1.0]


def test_a_deleted_user_has_no_session(evidence):
    evidence.observe(event("a"), now=NOW)
    evidence.delete_user("u", at=NOW)
    assert evidence.session_sums("s", now=NOW).units == 0


def test_old_sessions_are_forgotten(evidence):
    for i in range(50):
        at = NOW + i * 10 * MINUTE
        evidence.observe(event(f"d{i}", session_id=f"s{i}", at=at), now=at)
    # Two hours are kept, at ten minutes a session.
    assert len(evidence._state.sessions._sessions) == 13


def test_live_sessions_are_bounded_and_those_that_rest_longest_go_first():
    """Memory stays the same however many sessions there are at once; the sums hold all."""
    evidence = Evidence(["text"])
    sessions = evidence._state.sessions = LiveSessions(most=40)
    for number in range(60):
        for session in ("kept", f"s{number}") if number < 30 else (f"s{number}",):
            shown = event("d", execution_id=f"{session}-{number}", session_id=session)
            evidence.observe(shown, now=NOW)
    later = NOW + MINUTE
    units = [evidence.session_sums(f"s{n}", now=later).units for n in range(60)]
    assert units == [0] * units.count(0) + [1] * units.count(1)
    assert 0 < units.count(0) < 60
    known = list(sessions._sessions.values())
    assert sum(each.used for each in known) == sessions.versions <= 40
    assert all(each.units == len(each.rows()) > 0 for each in known)
    assert evidence.account.open_units == 90
