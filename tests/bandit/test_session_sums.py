"""A session's sums are those of the plain way over its units, whatever happens to the evidence."""

import datetime as dt
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rankloom.bandit._context_keys import keys_of
from rankloom.bandit._contexts import GLOBAL
from rankloom.bandit._credit import UnitBatch
from rankloom.bandit._ids import stable_id
from rankloom.bandit._session_units import SESSION_LENGTH
from rankloom.bandit._sessions import LiveSessions
from rankloom.bandit._tables import make_sums, read_beta
from rankloom.bandit._unit import LIVE, UNIT
from rankloom.bandit.evidence import Evidence

NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
NOW_US = int(NOW.timestamp()) * 1_000_000
ARMS = ["text", "image", "sound"]
CONTEXTS = [(), ("segment", "de"), ("user", "u0"), ("segment", "xx"), ("user", "u1")]
TYPES = [["impression"], ["click"], ["view", "purchase"], ["skip"], ["impression", "share"]]


class Unit(NamedTuple):
    record: np.void
    scores: np.ndarray
    contributions: np.ndarray


class World:
    """Evidence to which something happens, with all its units at every revision."""

    def __init__(self, rng, **options):
        self.rng = rng
        self.evidence = Evidence(ARMS, segment_by=["country"], source="s", **options)
        self.history = {}
        self.note()

    def note(self):
        state = self.evidence._state
        none = np.full(len(state.arms), np.nan)
        self.history[state.revision] = {
            (int(record["execution"]), int(record["document"])): Unit(
                record.copy(),
                none if record["scored"] < 0 else state.units.scores[record["scored"]].copy(),
                none
                if record["scored"] < 0
                else state.units.contributions[record["scored"]].copy(),
            )
            for record in state.units.records
        }

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
            evidence._state.fold_open(evidence.fresh()._state, dropped)
        elif kind == 10:
            [evidence.opt_out, evidence.reset_user][rng.integers(2)]("u1", at=NOW)
        elif kind == 11:
            evidence.merge(self.events(live=True))
        else:
            rows = [row for row in evidence.unit_rows() if rng.random() < 0.3]
            again = evidence.fresh("other")
            again.fold_unit_values([row.value for row in rows[::2]], evidence.segments)
            evidence._state.fold_open(again._state, [row.key for row in rows])
        self.note()
        # Of a unit that was dropped nothing is known any more, should it come again.
        for units in self.history.values():
            for key in units.keys() - self.history[evidence.revision].keys():
                del units[key]

    def expected(self, session, contexts, revision):
        """Return units, N, S, F and the contexts' sums in the plain way."""
        state = self.evidence._state
        arms, half_life = len(state.arms), state.identity.half_life_us
        now, then = (
            self.history[max(r for r in self.history if r <= at)]
            for at in (state.revision, revision)
        )
        chosen = [key for key, unit in now.items() if self.is_live(unit, session)]
        batch = batched([now[key] for key in chosen], arms)
        groups = state.sum(batch, ["groups"]).groups
        N, S, F, _ = read_beta(groups, np.array([GLOBAL], np.uint64), NOW_US, half_life)
        seen = [then[key] for key in chosen if key in then and self.is_live(then[key], session, 0)]
        keys, is_user = keys_of(contexts, state.identity.segment_by)
        own = make_sums(
            state.sum(batched(seen, arms)),
            keys,
            is_user,
            arms=self.evidence.arms,
            contexts=tuple(contexts),
            time=NOW_US,
            half_life_us=half_life,
        )
        return len(chosen), N[0], S[0], F[0], own if seen else None

    @staticmethod
    def is_live(unit, session, since=NOW_US - SESSION_LENGTH):
        record = unit.record
        mine = record["session"] == stable_id(session) and record["flags"] & LIVE
        return mine and record["time"] > since


def batched(units, arms):
    records = np.zeros(len(units), UNIT)
    scores, contributions = np.full((2, len(units), arms), np.nan)
    for row, unit in enumerate(units):
        records[row] = unit.record
        if unit.record["scored"] >= 0:
            records["scored"][row] = row
        scores[row], contributions[row] = unit.scores, unit.contributions
    return UnitBatch(records, scores, contributions)


def assert_same(found, expected):
    units, *sums, own = expected
    assert found.units == units
    for ours, theirs in zip((found.N, found.S, found.F), sums, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-200)
    assert (found.own is None) == (own is None)
    if own is None:
        return
    for name in "NSFQAb":
        ours, theirs = getattr(found.own, name), getattr(own, name)
        assert (ours is None) == (theirs is None), name
        if ours is not None:
            np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("credit", ["shared", "named"])
@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_sums_are_those_of_the_units_at_any_revision(credit, seed):
    """Observed, folded, merged and dropped, with scores or without: the plain way gives the same.

    What happened before a posterior that is not asked for any more may be forgotten, no more.
    """
    rng = np.random.default_rng(seed)
    half_life = float(rng.choice([1e-9, 0.01, 138.0]))
    world = World(rng, credit=credit, half_life=half_life)
    sessions, served = world.evidence._state.sessions, [0, 0]
    for _ in range(30):
        world.happen()
        if rng.random() < 0.2:
            served.append(world.evidence.revision)
            sessions.serve(served[-1])
        session = f"s{rng.integers(3)}"
        revision = int(rng.integers(served[-2], world.evidence.revision + 1))
        contexts = [c for c in CONTEXTS if rng.random() < 0.7]
        found = world.evidence.session_sums(
            session, now=NOW, contexts=contexts, time=NOW, revision=revision
        )
        expected = world.expected(session, contexts, revision)
        assert_same(found, expected if contexts else (*expected[:-1], None))


def test_other_arms_read_the_same_session():
    """Added and removed channels: the sums are those of a state that never knew any others."""
    rng = np.random.default_rng(3)
    world = World(rng)
    for _ in range(40):
        world.happen()
    for number in range(9):
        event = world.event(session_id=f"s{number % 3}", execution_id=f"mine{number % 3}")
        world.evidence.observe({**event, "timestamp": NOW.isoformat()}, now=NOW)
    world.evidence.add_arm("video")
    world.note()
    changes = (
        lambda: None,
        lambda: world.evidence.remove_arm("image"),
        lambda: world.evidence.observe(world.event(), now=NOW),
    )
    for change in changes:
        change()
        world.history.clear()
        world.note()
        for session in ("s0", "s1", "s2"):
            revision = world.evidence.revision
            found = world.evidence.session_sums(session, now=NOW, contexts=CONTEXTS, time=NOW)
            assert found.arms == world.evidence.arms
            assert_same(found, world.expected(session, CONTEXTS, revision))
            assert found.units > 0


def test_a_session_seen_by_other_arms_is_that_of_a_state_with_these():
    """A posterior of before reads a session of now: names say what is what, not places."""
    both = Evidence(["text", "image"]), Evidence(["image", "video", "text"])
    rng = np.random.default_rng(0)
    for number in range(12):
        event = {
            "execution_id": "e",
            "feature_id": f"d{number}",
            "interaction_type": ["impression", "click"],
            "position": 0,
            "feature_uri": ["text", "image"][number % 2],
            "session_id": "s",
            "metadata": {"features": {"image": {"score": float(rng.random())}}},
        }
        for evidence in both:
            evidence.observe(event, now=NOW)
    sums = []
    for evidence in both:
        state = evidence._state
        live = state.session(stable_id("s"), ("video", "image", "text"))
        sums.append(state.session_sums(live, since=0, time=NOW_US, contexts=[()], revision=9**9))
    for name in ("N", "S", "F", "own"):
        ours, theirs = (getattr(each, name) for each in sums)
        if name == "own":
            ours, theirs = ours.A, theirs.A
        np.testing.assert_array_equal(ours, theirs)
    assert sums[0].N.tolist() == [0.0, 6.0, 6.0]


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


def test_versions_that_no_posterior_asks_for_are_forgotten():
    """A unit that changes at every posterior is remembered a few times, not every time."""
    evidence = Evidence(["text"])
    sessions = evidence._state.sessions
    for position in range(500, 0, -1):
        evidence.observe(live_event("s", "d", position=position), now=NOW)
        sessions.serve(evidence.revision)
    assert evidence.revision == 500
    assert sessions.versions <= 20
    found = evidence.session_sums("s", now=NOW, contexts=[()], time=NOW, revision=499)
    assert found.N[0] == pytest.approx(1 / 2)
    assert found.own.N[0, 0] == pytest.approx(1 / 3)


def test_units_of_a_session_that_goes_on_for_ever_are_forgotten_after_hours():
    evidence = Evidence(["text"])
    sessions = evidence._state.sessions
    for number in range(600):
        at = NOW + dt.timedelta(minutes=number)
        evidence.observe(live_event("s", f"d{number}", timestamp=at.isoformat()), now=at)
        assert evidence.session_sums("s", now=at).units == min(number + 1, 60)
    assert sessions.versions < 180


def test_a_live_unit_takes_at_most_250_bytes():
    """With everything that belongs to it: its session, room for more, the way to find it."""
    import tracemalloc

    evidence = Evidence(["text"])
    rng = np.random.default_rng(0)
    units = 0
    for session in range(2_000):
        shown = int(rng.integers(5, 11))
        units += shown
        for number in range(shown):
            evidence.observe(live_event(f"s{session}", f"d{number}"), now=NOW)
            if number % 3 == 0:
                clicked = live_event(f"s{session}", f"d{number}", interaction_type=["click"])
                evidence.observe(clicked, now=NOW)
    state = evidence._state
    tracemalloc.start()
    try:
        again = LiveSessions()
        again.rebuild(state.units, state.revision)
        one_version_each = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert len(again) == len(state.sessions) == 2_000
    assert again.versions == units < state.sessions.versions
    assert one_version_each <= 250 * units
    several = sum(each.nbytes for each in state.sessions._sessions.values())
    assert several + 300 * 2_000 <= 250 * units
