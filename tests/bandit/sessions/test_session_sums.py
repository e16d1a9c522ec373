"""A session's sums are those of a plain fold of its units, whatever happens to the evidence."""

import datetime as dt
import tracemalloc
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom._shared.ids import stable_id
from rankloom.bandit.base.contexts import GLOBAL_KEY
from rankloom.bandit.base.sums import ArmSums
from rankloom.bandit.evidence.evidence import Evidence
from rankloom.bandit.evidence.sum_tables import read_beta
from rankloom.bandit.serving.posterior_snapshot import PosteriorSnapshot
from rankloom.bandit.sessions.live_sessions import LiveSessions
from rankloom.bandit.sessions.session_units import SESSION_LENGTH
from rankloom.bandit.units.record import LIVE, UnitBatch
from rankloom.errors import NoExposuresError

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
ARMS = ["text", "image", "sound"]
TYPES = [["impression"], ["click"], ["view", "purchase"], ["skip"], ["impression", "share"]]


class World:
    """Evidence to which something happens, and a plain way to its sums."""

    def __init__(self, rng, **options):
        self.rng = rng
        self.evidence = Evidence(ARMS, segment_by=["country"], source="s", **options)

    @property
    def state(self):
        return self.evidence.state

    def event(self, **fields):
        rng = self.rng
        made = {
            "execution_id": f"e{rng.integers(5)}",
            "feature_id": f"d{rng.integers(4)}",
            "interaction_type": TYPES[rng.integers(len(TYPES))],
            "position": int(rng.integers(6)),
            "feature_uri": [*self.evidence.arms, None, "unknown"][rng.integers(5)],
            "session_id": f"s{rng.integers(3)}",
            "user_id": [f"u{rng.integers(3)}", None][int(rng.random() < 0.2)],
            "timestamp": (NOW - dt.timedelta(minutes=int(rng.integers(100)))).isoformat(),
            "metadata": {"country": ["de", "fr"][rng.integers(2)]},
            **fields,
        }
        if rng.random() < 0.5:
            uris = [uri for uri in self.evidence.arms if rng.random() < 0.8]
            made["metadata"]["features"] = {uri: {"score": float(rng.random())} for uri in uris}
            if rng.random() < 0.7:
                weights = {uri: float(rng.normal()) for uri in uris}
                made["metadata"]["fusion"] = {"weights": weights}
        return made

    def events(self, live):
        """Evidence of another process."""
        other = self.evidence.fresh("other")
        for _ in range(self.rng.integers(1, 6)):
            event = self.event()
            if not live:
                event["occurred_at"] = event["timestamp"]
            other.observe(event, now=NOW)
        return other

    def happen(self):
        evidence, rng = self.evidence, self.rng
        kind = rng.integers(13)
        if kind < 6:
            evidence.observe(self.event(), now=NOW)
        elif kind < 8:
            other = self.events(live=kind == 6)
            values = [row.value for row in other.unit_rows()]
            evidence.fold_unit_values(values, other.segments)
        elif kind == 8:
            evidence.update([self.event() for _ in range(3)])
        elif kind == 9:
            keys = [row.key for row in evidence.unit_rows()]
            dropped = [key for key in keys if rng.random() < 0.2]
            evidence.state.fold_open(evidence.fresh().state, dropped)
        elif kind == 10:
            at = NOW - dt.timedelta(minutes=int(rng.integers(100)))
            [evidence.opt_out, evidence.reset_user][rng.integers(2)](f"u{rng.integers(3)}", at=at)
        elif kind == 11:
            evidence.merge(self.events(live=True))
        else:
            rows = [row for row in evidence.unit_rows() if rng.random() < 0.3]
            again = evidence.fresh("other")
            again.fold_unit_values([row.value for row in rows[::2]], evidence.segments)
            evidence.state.fold_open(again.state, [row.key for row in rows])

    def batch(self):
        """Return all open units as they are now."""
        units = self.state.units
        return UnitBatch(units.records.copy(), units.scores.copy(), units.contributions.copy())

    def counts(self, batch):
        """Return which units count for their users, one by one."""
        since = [self.state.resets.since(int(user)) for user in batch.records["user"]]
        times = batch.records["time"].tolist()
        return np.array([s is None or t >= s for s, t in zip(since, times, strict=True)], np.bool_)

    def in_session(self, batch, session):
        records = batch.records
        live = (records["session"] == stable_id(session)) & ((records["flags"] & LIVE) != 0)
        return live & (records["time"] > NOW_US - SESSION_LENGTH)

    def plain(self, batch, chosen, time=NOW_US):
        """Return the sums of some units by the tables of the evidence."""
        part = batch._replace(records=batch.records[chosen])
        table = self.state.sum(part, ["groups"]).groups
        half_life = self.state.identity.half_life_us
        N, S, F, _ = read_beta(table, np.array([GLOBAL_KEY], np.uint64), time, half_life)
        return ArmSums(N[0], S[0], F[0])


def keys(records):
    return list(zip(records["execution"].tolist(), records["document"].tolist(), strict=True))


def assert_same(found, expected):
    np.testing.assert_allclose(np.array(found), np.array(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("credit", ["shared", "named"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_unit_counts_once_for_session_or_user_by_any_posterior(credit, seed):
    """Observed, folded, merged, dropped and reset, with scores or without: the plain way agrees.

    A posterior of before holds a user's units as they were then. Those that the session counts
    now are taken out of it as they were then, and no others.
    """
    rng = np.random.default_rng(seed)
    half_life = float(rng.choice([1e-9, 0.01, 138.0]))
    world = World(rng, credit=credit, half_life=half_life)
    snapshot, then = PosteriorSnapshot(world.evidence, "auto"), world.batch()
    for _ in range(30):
        world.happen()
        if rng.random() < 0.2:
            with suppress(NoExposuresError):
                snapshot, then = PosteriorSnapshot(world.evidence, "auto"), world.batch()
        session, user = f"s{rng.integers(3)}", f"u{rng.integers(3)}"
        now = world.batch()
        counting = world.in_session(now, session) & world.counts(now)
        personal = snapshot.personal(world.state, user, session, NOW)
        sums = world.evidence.session_sums(session, now=NOW, user_id=user)
        assert personal.session_units == sums.units == counting.sum()
        expected = world.plain(now, counting)
        assert_same((sums.N, sums.S, sums.F), expected)
        if counting.any():
            assert_same(personal.session, expected)
        of_user = counting & (now.records["user"] == stable_id(user))
        assert_same(sums.of_user, world.plain(now, of_user))
        if personal.user is not None:
            counted = set(keys(now.records[counting]))
            held = np.array([key in counted for key in keys(then.records)], np.bool_)
            held &= (then.records["session"] == stable_id(session)) & world.counts(then)
            held &= (then.records["flags"] & LIVE != 0) & (then.records["user"] == stable_id(user))
            part = world.plain(then, held, snapshot.time)
            assert_same(personal.user, snapshot.users.find(user).without(part))


def test_other_arms_read_the_same_session():
    """Added and removed channels: the sums are those of a state that never knew any others."""
    rng = np.random.default_rng(3)
    world = World(rng)
    for _ in range(40):
        world.happen()
    for number in range(9):
        event = world.event(session_id=f"s{number % 3}", execution_id=f"mine{number}", user_id=None)
        world.evidence.observe({**event, "timestamp": NOW.isoformat()}, now=NOW)
    changes = (
        lambda: world.evidence.add_arm("video"),
        lambda: world.evidence.remove_arm("image"),
        lambda: world.evidence.observe(world.event(), now=NOW),
    )
    for change in changes:
        change()
        batch = world.batch()
        for session in ("s0", "s1", "s2"):
            sums = world.evidence.session_sums(session, now=NOW)
            counting = world.in_session(batch, session) & world.counts(batch)
            assert sums.arms == world.evidence.arms
            assert sums.units == counting.sum() > 0
            assert_same((sums.N, sums.S, sums.F), world.plain(batch, counting))


def test_a_session_is_read_by_the_names_of_arms_whatever_their_places():
    """A posterior of before reads a session of now, whose arms may be in another order."""
    both = Evidence(["text", "image"]), Evidence(["image", "video", "text"])
    for number in range(12):
        event = {
            "execution_id": "e",
            "feature_id": f"d{number}",
            "interaction_type": ["impression", "click"],
            "position": 0,
            "feature_uri": ["text", "image"][number % 3 % 2],
            "session_id": "s",
            "user_id": "u",
        }
        for evidence in both:
            evidence.observe(event, now=NOW)
    snapshot = PosteriorSnapshot(both[0], "auto")
    ours, theirs = (snapshot.personal(each.state, "u", "s", NOW) for each in both)
    assert_same(ours.session, theirs.session)
    assert_same(ours.user, theirs.user)
    assert ours.session.N.tolist() == [8.0, 4.0]
    assert ours.user.N.tolist() == [0.0, 0.0]


def live_event(session, document, **fields):
    return {
        "execution_id": f"e-{session}",
        "feature_id": document,
        "interaction_type": ["impression"],
        "position": 0,
        "feature_uri": "text",
        "session_id": session,
        "user_id": f"u-{session}",
        **fields,
    }


def test_units_of_a_session_that_never_ends_are_forgotten_after_hours():
    evidence = Evidence(["text"])
    for number in range(600):
        at = NOW + dt.timedelta(minutes=number)
        evidence.observe(live_event("s", f"d{number}", timestamp=at.isoformat()), now=at)
        assert evidence.session_sums("s", now=at).units == min(number + 1, 60)
    assert evidence.state.sessions.units < 180


def test_a_live_unit_takes_at_most_250_bytes():
    """With everything that belongs to it: its session, and the way to find it."""
    evidence = Evidence(["text"])
    rng = np.random.default_rng(0)
    units = 0
    for session in range(500):
        shown = int(rng.integers(5, 11))
        units += shown
        for number in range(shown):
            evidence.observe(live_event(f"s{session}", f"d{number}"), now=NOW)
            if number % 3 == 0:
                clicked = live_event(f"s{session}", f"d{number}", interaction_type=["click"])
                evidence.observe(clicked, now=NOW)
    state = evidence.state
    tracemalloc.start()
    try:
        again = LiveSessions()
        again.rebuild(state.units)
        size = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(again) == len(state.sessions) == 500
    assert again.units == state.sessions.units == units
    assert size <= 250 * units
