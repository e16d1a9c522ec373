"""Weights of a session are read without waiting for the learner, and of one moment only."""

import datetime as dt
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import numpy as np
import pytest

from rankloom._shared.ids import stable_id
from rankloom.bandit import FusionBandit, open_store
from rankloom.bandit.serving.personal_cache import PersonalCache, PersonalKey
from rankloom.bandit.sessions.session_sums import PersonalSums
from rankloom.service.learning.serving_bandit import ServingBandit

ARMS = ["text", "image"]
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
REQUEST = {"user_id": "u1", "segment": "de", "session_id": "s"}


def event(n, arm="image", types=("impression", "purchase"), at=NOW, **fields):
    return {
        "execution_id": f"e{n}",
        "feature_id": f"d{n}",
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": arm,
        "timestamp": at.isoformat(),
        "metadata": {"country": "de"},
        **fields,
    }


def live(n, **fields):
    return event(f"live{n}", session_id="s", user_id="u1", **fields)


def past(**fields):
    types = ["impression"], ["impression", "click"], ["impression"]
    at = NOW - dt.timedelta(days=1)
    return [
        event(f"past{i}", ARMS[i % 2], types[i // 2 % 3], at, user_id=f"u{i % 9}", **fields)
        for i in range(360)
    ]


def learnt(*, held=False, **options):
    """Return a bandit, or one whose posterior only `renew` computes, with a past."""
    bandit = FusionBandit(ARMS, segment_by=["country"], **options)
    bandit.update(past())
    if not held:
        bandit.mean()
        return bandit
    made = ServingBandit(bandit)
    made.renew()
    return made


def personal(held, user="u1", session="s", now=NOW):
    """Return what the posterior that is held says of a user and a session."""
    snapshot = held.bandit.posterior.held
    return snapshot.personal(held.learner.evidence.state, user, session, now)


@contextmanager
def learning(learner):
    """Keep the bandit learning in another thread, as a long fold does."""
    begun, over = threading.Event(), threading.Event()

    def fold():
        with learner.locked():
            begun.set()
            over.wait(60)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(fold)
        assert begun.wait(30)
        try:
            yield
        finally:
            over.set()


@pytest.mark.parametrize("held", [False, True])
def test_weights_of_a_session_are_read_while_the_bandit_learns(held):
    bandit = learnt(held=held)
    bandit.learner.observe(live(0), now=NOW)
    before = bandit.sample(**REQUEST, now=NOW)
    with learning(bandit.learner), ThreadPoolExecutor(1) as pool:
        during = pool.submit(bandit.sample, **REQUEST, now=NOW).result(30)
        other = pool.submit(bandit.sample, session_id="t", now=NOW).result(30)
    assert during == before
    assert during["image"] > other["image"]


def test_a_mean_of_what_is_held_is_read_while_the_bandit_learns():
    bandit = learnt(held=True)
    bandit.learner.observe(live(0), now=NOW)
    with learning(bandit.learner), ThreadPoolExecutor(1) as pool:
        during = pool.submit(bandit.mean, **REQUEST, now=NOW).result(30)
    assert during == bandit.mean(**REQUEST, now=NOW)


@contextmanager
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def moves(held, steps):
    """Change all units of a session at once, again and again, and everything around them."""
    learner = held.learner
    for step in range(steps):
        batch = learner.evidence.fresh()
        for n in range(8):
            batch.observe(live(n, position=steps - step), now=NOW)
        if step % 5 == 4:
            learner.merge(batch)
        else:
            dropped = [row.key for row in batch.unit_rows()] if step % 4 == 2 else []
            with learner.locked():
                learner.evidence.state.fold_open(batch.state, dropped)
        if step % 3 == 0:
            held.renew()
        if step % 7 == 3:
            learner.add_arm(f"channel-{step}")
            held.renew()
        if step % 7 == 5:
            learner.delete_user("u8")
            held.bandit.opt_out("u7")
        if step % 10 == 8:
            learner.compact(NOW - dt.timedelta(hours=2))


def test_a_read_gets_a_session_as_it_was_before_a_batch_or_after_it():
    """All units of the session change at once: no read gets some of them changed.

    And by whatever posterior it is answered, the session's own part is out of the user's sums as
    a whole: what is left is always what the past alone has taught.
    """
    steps = 80
    held = learnt(held=True)
    held.learner.observe(event("other", "text", ["impression"]), now=NOW)
    held.renew()
    alone = held.bandit.posterior.held
    assert alone.time == int(NOW.timestamp()) * 10**6
    past_sums = alone.users.find("u1")
    held.learner.observe(live(0, position=steps + 1), now=NOW)
    whole = {8.0 / (1.0 + position) for position in range(steps + 1)} | {1.0 / (steps + 2)}
    reads, over = [], threading.Event()

    def read():
        while not over.is_set():
            snapshot = held.bandit.posterior.held
            sums = snapshot.personal(held.learner.evidence.state, "u1", "s", NOW)
            places = [snapshot.arms.index(arm) for arm in ARMS]
            reads.append([(part.N[places], part.S[places]) for part in (sums.session, sums.user)])

    with switching_often(), ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            moves(held, steps)
        finally:
            over.set()
        for reader in readers:
            reader.result(30)
    of_session, of_user = np.array(reads).swapaxes(0, 1)  # each: read, N or S, channel
    assert (of_session[:, 0, 0] == 0.0).all()
    found = np.unique(of_session[:, 0, 1])
    assert len(found) > 10
    assert np.abs(found[:, None] - sorted(whole)).min(axis=1).max() < 1e-12
    expected = np.broadcast_to(past_sums[:2], of_user.shape)
    np.testing.assert_allclose(of_user, expected, rtol=1e-9, atol=1e-12)


def test_a_posterior_of_long_ago_knows_its_part_of_a_session():
    """However often the unit changed and the posterior was renewed since: it counts once."""
    held = learnt(held=True)
    held.learner.observe(live(0, position=50), now=NOW)
    held.renew()
    old, first = held.bandit.posterior.held, personal(held)
    for position in range(40, 0, -1):
        held.learner.observe(live(0, position=position), now=NOW)
        held.renew()
        sums = old.personal(held.learner.evidence.state, "u1", "s", NOW)
        assert sums.session.N[1] == pytest.approx(1 / (position + 1))
        np.testing.assert_array_equal(sums.user, first.user)
        np.testing.assert_allclose(personal(held).user, first.user, rtol=1e-12)


def test_what_was_remembered_of_a_session_is_what_would_be_computed_anew():
    """While time goes by, units come, change and leave the hour, and the posterior is renewed."""
    held = learnt(held=True)
    for n in range(4):
        held.learner.observe(live(n, at=NOW + 15 * n * MINUTE), now=NOW + 15 * n * MINUTE)

    def assert_same(minute, **request):
        now = NOW + minute * MINUTE
        ours, snapshot = personal(held, now=now, **request), held.bandit.posterior.held
        remembered, snapshot._cache = snapshot._cache, PersonalCache()
        theirs = personal(held, now=now, **request)
        snapshot._cache = remembered
        assert (ours.session is None, ours.user is None) == (
            theirs.session is None,
            theirs.user is None,
        )
        for own, other in ((ours.session, theirs.session), (ours.user, theirs.user)):
            if own is not None:
                np.testing.assert_array_equal(own, other)
        return None if ours.session is None else round(float(ours.session.N[1]))

    counted = [assert_same(minute) for minute in (45, 46, 59, 61, 80, 59, 95, 110, 45, 106)]
    assert counted == [4, 4, 4, 3, 2, 4, 1, None, 4, None]
    assert_same(46, user=None)
    assert_same(46, user="u2")
    held.learner.observe(live(9, at=NOW + 46 * MINUTE), now=NOW + 46 * MINUTE)
    assert assert_same(47) == 5
    held.renew()
    assert assert_same(47) == 5
    held.bandit.reset_user("u1", at=NOW + 20 * MINUTE)
    assert assert_same(47) == 3


def test_remembered_sums_are_bounded():
    held = learnt(held=True)
    held.learner.observe(live(0), now=NOW)
    units, sums = held.learner.evidence.state.sessions.of(stable_id("s")), PersonalSums()
    cache = PersonalCache(most=10)
    for n in range(50):
        cache.put(PersonalKey(n, None), units, 0, 0, sums)
    remembered = [cache.get(PersonalKey(n, None), units, 0, 0) is sums for n in range(50)]
    assert remembered == [False] * 40 + [True] * 10


def test_a_state_that_is_read_anew_goes_on_with_its_sessions(tmp_path):
    """Another process compacts: the posterior that is served is the one of before.

    Its part of the session's units is taken out of it, and units that it does not hold are not.
    """
    url = f"sqlite:///{tmp_path}/state.db"
    with open_store(url) as ours, open_store(url) as theirs:
        held = ServingBandit(FusionBandit(ARMS, segment_by=["country"], store=ours))
        other = FusionBandit(ARMS, segment_by=["country"], store=theirs)
        held.learner.update(past())
        for n in range(3):
            held.learner.observe(live(n), now=NOW)
        held.renew()
        held.learner.observe(live(3), now=NOW)
        before = personal(held)
        evidence, snapshot = held.learner.evidence, held.bandit.posterior.held
        other.compact(NOW - 60 * MINUTE)
        held.learner.refresh()
        assert held.learner.evidence is not evidence
        assert held.bandit.posterior.held is snapshot
        after = personal(held)
        np.testing.assert_allclose(after.session, before.session, rtol=1e-12)
        np.testing.assert_allclose(after.user, before.user, rtol=1e-12)
        assert after.session.N[1] == pytest.approx(4.0)
        assert held.is_stale
