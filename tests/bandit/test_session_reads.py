"""Weights of a session are read without waiting for whoever learns, and of one moment only."""

import datetime as dt
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from rankloom._service.held_bandit import HeldBandit
from rankloom.bandit import FusionBandit, open_store
from rankloom.bandit._ids import stable_id
from rankloom.bandit._session_views import Asked, SessionViews

ARMS = ["text", "image"]
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
ASKED = {"user_id": "u1", "segment": "de", "session_id": "s"}


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


def learnt(kind=FusionBandit, **options):
    bandit = kind(ARMS, segment_by=["country"], **options)
    bandit.update(past())
    if isinstance(bandit, HeldBandit):
        bandit.renew()
    else:
        bandit.mean()
    return bandit


@contextmanager
def learning(bandit):
    """Keep the bandit learning in another thread, as a long fold does."""
    begun, over = threading.Event(), threading.Event()

    def fold():
        with bandit._lock:
            begun.set()
            over.wait(60)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(fold)
        assert begun.wait(30)
        try:
            yield
        finally:
            over.set()


@pytest.mark.parametrize("kind", [FusionBandit, HeldBandit])
def test_weights_of_a_session_are_read_while_the_bandit_learns(kind):
    bandit = learnt(kind)
    bandit.observe(live(0), now=NOW)
    before = bandit.sample(**ASKED, now=NOW)
    with learning(bandit), ThreadPoolExecutor(1) as pool:
        during = pool.submit(bandit.sample, **ASKED, now=NOW).result(30)
        other = pool.submit(bandit.sample, session_id="t", now=NOW).result(30)
    assert during == before
    assert during["image"] > other["image"]


def test_a_mean_of_what_is_held_is_read_while_the_bandit_learns():
    bandit = learnt(HeldBandit)
    bandit.observe(live(0), now=NOW)
    with learning(bandit), ThreadPoolExecutor(1) as pool:
        during = pool.submit(bandit.mean, **ASKED, now=NOW).result(30)
    assert during == bandit.mean(**ASKED, now=NOW)


@contextmanager
def switching_often():
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def moves(bandit, steps):
    """Change all units of a session at once, again and again, and everything around them."""
    for step in range(steps):
        batch = bandit.evidence.fresh()
        for n in range(8):
            batch.observe(live(n, position=steps - step), now=NOW)
        if step % 5 == 4:
            bandit.merge(batch)
        else:
            fold(bandit, batch, drop=step % 4 == 2)
        if step % 3 == 0:
            bandit.renew()
        if step % 7 == 3:
            bandit.evidence.add_arm(f"channel-{step}")
            bandit._arms_changed()
            bandit.renew()
        if step % 7 == 5:
            with bandit._lock:
                bandit.delete_user("u8")
                bandit.opt_out("u7")
        if step % 10 == 8:
            bandit.compact(NOW - dt.timedelta(hours=2))


def fold(bandit, batch, *, drop):
    """Fold a batch as from a log, or units in the place of what they were before."""
    dropped = [row.key for row in batch.unit_rows()] if drop else []
    with bandit._lock:
        bandit.evidence._state.fold_open(batch._state, dropped)


def test_a_read_sees_a_session_as_it_was_before_a_batch_or_after_it():
    """All units of the session change at once: no read sees some of them changed.

    And whatever posterior it is answered from, the session's own part is out of it as a whole:
    what is left is always what the past alone has taught.
    """
    steps = 80
    bandit = learnt(HeldBandit)
    bandit.observe(event("other", "text", ["impression"]), now=NOW)
    bandit.renew()
    alone = bandit._present.standing.top
    bandit.observe(live(0, position=steps + 1), now=NOW)
    whole = {8.0 / (1.0 + position) for position in range(steps + 1)} | {1.0 / (steps + 2)}
    reads, over = [], threading.Event()

    def read():
        while not over.is_set():
            if (present := bandit._present) is None:
                continue
            view = bandit._view(present, (), None, "s", NOW)
            if view is None:  # two newer posteriors since
                continue
            theta = view.posterior.level().beta
            places = [present.standing.top.arms.index(arm) for arm in ARMS]
            reads.append((view.session.N[places], theta.mean[places], len(theta.mean)))

    with switching_often(), ThreadPoolExecutor(2) as pool:
        readers = [pool.submit(read) for _ in range(2)]
        try:
            moves(bandit, steps)
        finally:
            over.set()
        for reader in readers:
            reader.result(30)
    assert len({float(N[1]) for N, _, _ in reads}) > 10
    factor = 2.0 ** -((int(NOW.timestamp()) * 10**6 - alone.time) / (138 * 86_400e6))
    assert factor == 1.0
    for N, _, _ in reads:
        assert N[0] == 0.0
        assert min(abs(N[1] - exposures) for exposures in whole) < 1e-12
    for arms in {arms for *_, arms in reads}:
        means = np.array([mean for _, mean, of in reads if of == arms])
        np.testing.assert_allclose(means, np.broadcast_to(means[0], means.shape), rtol=1e-9)


def test_a_posterior_whose_part_a_session_has_forgotten_is_not_answered_from():
    """Its own units could not be taken out of it any more: they would count twice."""
    bandit = learnt(HeldBandit)
    bandit.observe(live(0, position=50), now=NOW)
    bandit.renew()
    old, seen = bandit._present, []
    for position in range(40, 0, -1):
        bandit.observe(live(0, position=position), now=NOW)
        bandit.renew()
        seen.append(bandit._view(old, (), None, "s", NOW))
        present, view = bandit._seen(0.0, (), None, "s", NOW)
        assert present is bandit._present
        assert view.session.N[1] == pytest.approx(1 / (position + 1))
    means = [view.posterior.level().beta.mean for view in seen if view is not None]
    assert 0 < len(means) < 20
    assert seen[len(means) :] == [None] * (40 - len(means))
    np.testing.assert_allclose(means, np.broadcast_to(means[0], (len(means), 2)), rtol=1e-12)


def test_what_was_remembered_of_a_session_is_what_would_be_computed_anew():
    """While time goes by, units come, change and leave the hour, and the posterior is renewed."""
    bandit = learnt(HeldBandit)
    for n in range(4):
        bandit.observe(live(n, at=NOW + 15 * n * MINUTE), now=NOW + 15 * n * MINUTE)

    def both(minute, **asked):
        standing = bandit._present.standing
        forgetful = bandit._present._replace(standing=replace(standing, seen=SessionViews()))
        given = {"context": (), "user": None, "session": "s", "now": NOW + minute * MINUTE, **asked}
        return [bandit._view(each, **given) for each in (bandit._present, forgetful)]

    def assert_same(minute, **asked):
        ours, theirs = both(minute, **asked)
        ours_session = () if ours.session is None else ours.session
        theirs_session = () if theirs.session is None else theirs.session
        np.testing.assert_array_equal(ours_session, theirs_session)
        np.testing.assert_array_equal(
            ours.posterior.level().beta.mean, theirs.posterior.level().beta.mean
        )
        if asked.get("user"):
            np.testing.assert_array_equal(ours.user, theirs.user)
        return [round(float(n), 3) for n in ours_session[0]] if len(ours_session) else None

    shown = [assert_same(minute) for minute in (45, 46, 59, 61, 80, 59, 95, 110, 45, 106)]
    counted = [None if each is None else round(each[1]) for each in shown]
    assert counted == [4, 4, 4, 3, 2, 4, 1, None, 4, None]
    assert_same(46, user="u1")
    assert_same(46, user="u2")
    assert_same(46, context=("segment", "de"))
    bandit.observe(live(9, at=NOW + 46 * MINUTE), now=NOW + 46 * MINUTE)
    assert round(assert_same(47)[1]) == 5
    bandit.renew()
    assert round(assert_same(47)[1]) == 5


def test_remembered_views_are_bounded():
    bandit = learnt(HeldBandit)
    bandit.observe(live(0), now=NOW)
    live_units = bandit.evidence._state.sessions.of(stable_id("s"))
    views = SessionViews(most=10)
    view = bandit._view(bandit._present, (), None, "s", NOW)
    for n in range(50):
        views.put(Asked(f"s{n}", None, ()), live_units, 0, view)
    held = [views.get(Asked(f"s{n}", None, ()), live_units, 0) is view for n in range(50)]
    assert held == [False] * 40 + [True] * 10


def test_a_state_that_is_read_anew_goes_on_with_its_sessions(tmp_path):
    """Another process compacts: what the posterior has seen of a session is not forgotten.

    The posterior that is served is the one of before. Its part of the session's units is taken
    out of it, and units that it has not seen are not.
    """
    url = f"sqlite:///{tmp_path}/state.db"
    with open_store(url) as ours, open_store(url) as theirs:
        bandit = HeldBandit(ARMS, segment_by=["country"], store=ours)
        other = FusionBandit(ARMS, segment_by=["country"], store=theirs)
        bandit.update(past())
        for n in range(3):
            bandit.observe(live(n), now=NOW)
        bandit.renew()
        bandit.observe(live(3), now=NOW)
        before = bandit._view(bandit._present, ("segment", "de"), "u1", "s", NOW)
        evidence, present = bandit.evidence, bandit._present
        other.compact(NOW - 60 * MINUTE)
        bandit.refresh()
        assert bandit.evidence is not evidence
        assert bandit._present is present
        after = bandit._view(bandit._present, ("segment", "de"), "u1", "s", NOW)
        np.testing.assert_array_equal(after.session, before.session)
        np.testing.assert_array_equal(after.user, before.user)
        assert after.session.N[1] == 4.0
        for context, level in before.posterior.levels.items():
            mean = after.posterior.levels[context].beta.mean
            np.testing.assert_array_equal(mean, level.beta.mean)
