"""A bandit and a service that watches its store serve the same weights, by the same rule."""

import datetime as dt
import itertools
import json
import subprocess
import sys
import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankloom.bandit import FusionBandit, FusionWeights, open_store

ARMS = ["text", "image", "audio"]
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)
TYPES = [["impression"], ["click"], ["view", "purchase"], ["skip"], ["impression", "share"]]
USERS, SESSIONS = ["u0", "u1", "u2"], ["s0", "s1", "s2"]
QUERIES = ["shoes", '{"query": "hat"}', "socks", None]


def event(rng, now):
    """Return something that happened to a few documents, live or backfilled."""
    made = {
        "execution_id": f"e{rng.integers(6)}",
        "feature_id": f"d{rng.integers(6)}",
        "interaction_type": TYPES[rng.integers(len(TYPES))],
        "position": int(rng.integers(6)),
        "feature_uri": [*ARMS, None, "unknown"][rng.integers(5)],
        "session_id": SESSIONS[rng.integers(3)],
        "user_id": [*USERS, None][rng.integers(4)],
        "query_snapshot": QUERIES[rng.integers(4)],
        "metadata": {"country": ["de", "fr"][rng.integers(2)]},
    }
    shown = (now - dt.timedelta(minutes=int(rng.integers(100)))).isoformat()
    made["occurred_at" if rng.random() < 0.3 else "timestamp"] = shown
    if rng.random() < 0.4:
        uris = [uri for uri in ARMS if rng.random() < 0.8]
        made["metadata"]["features"] = {uri: {"score": float(rng.random())} for uri in uris}
        if rng.random() < 0.7:
            weights = {uri: float(rng.random()) for uri in uris}
            made["metadata"]["fusion"] = {"weights": weights}
    return made


def happen(rng, bandit, now):
    kind, user = rng.integers(12), USERS[rng.integers(3)]
    at = now - dt.timedelta(minutes=int(rng.integers(60)))
    if kind < 6:
        bandit.observe(event(rng, now), now=now)
    elif kind < 8:
        bandit.update([event(rng, now) for _ in range(rng.integers(1, 8))])
    elif kind == 8:
        bandit.compact(now - dt.timedelta(minutes=int(rng.integers(30, 200))))
    elif kind == 9:
        bandit.delete_user(user, at=at)
    else:
        [bandit.reset_user, bandit.opt_out, bandit.opt_in][rng.integers(3)](user, at=at)


def requests(now):
    queries = itertools.cycle([None, " Shoes", {"query": "hat"}, "socks", "unknown", None, "socks"])
    for user, session, segment in itertools.product(
        [*USERS, "unknown", None], [*SESSIONS, "unknown", None], ["de", None]
    ):
        of = {"user_id": user, "session_id": session, "segment": segment, "query": next(queries)}
        yield {**of, "now": now}


@pytest.mark.parametrize("posterior", ["beta", "auto"])
@settings(
    max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(seed=st.integers(0, 2**32 - 1))
def test_a_bandit_and_a_watcher_of_its_store_give_the_same_weights(store_url, posterior, seed):
    """Random logs: users, sessions, segments, queries, resets, opt-outs, deletions, backfills."""
    rng = np.random.default_rng(seed)
    namespace, now = uuid.uuid4().hex, NOW
    options = {"segment_by": ["country"], "posterior": posterior, "namespace": namespace}
    options["max_queries"] = [0, 2, 10][seed % 3]
    with open_store(store_url, namespace=namespace) as store:
        bandit = FusionBandit(ARMS, store=store, **options)
        bandit.update([{**event(rng, now), "interaction_type": ["view"], "feature_uri": "text"}])
        for _ in range(40):
            now += rng.integers(10) * MINUTE
            happen(rng, bandit, now)
        bandit.publish()
        other = FusionBandit(ARMS, store=store, **options)
        with FusionWeights.watch(store, ARMS, every=600) as weights:
            for request in requests(now):
                expected = bandit.mean(**request)
                assert weights.mean(**request) == pytest.approx(expected, abs=1e-9)
                assert other.mean(**request) == pytest.approx(expected, abs=1e-9)
                ours, theirs = bandit.sample(**request), weights.sample(**request)
                if request["user_id"] or request["session_id"]:
                    assert theirs == pytest.approx(ours, abs=1e-9)
                    assert theirs.to_metadata().keys() == ours.to_metadata().keys()
                assert (theirs.policy, theirs.snapshot_id) == (ours.policy, ours.snapshot_id)
        store.clear()


def shown(number, **fields):
    return {
        "execution_id": f"e{number}",
        "feature_id": f"d{number}",
        "interaction_type": ["impression", "click"] if number % 7 < 2 else ["impression"],
        "position": 0,
        "feature_uri": ARMS[number % 3],
        "timestamp": NOW.isoformat(),
        **fields,
    }


@pytest.fixture
def bandit(store_url, namespace):
    made = FusionBandit.open(store_url, ARMS, namespace=namespace)
    made.update([shown(n, user_id=f"other{n % 9}") for n in range(300)])
    with made.learner.store:
        yield made


def live(bandit, numbers, session="s", at=NOW):
    for n in numbers:
        event = {**shown(n, user_id="u", session_id=session), "execution_id": f"{session}{n}"}
        bandit.observe({**event, "timestamp": at.isoformat()}, now=at)


def test_a_reset_within_a_running_session_takes_out_what_it_leaves(bandit):
    """Ten documents before the reset, four after it in another session, and four in this one."""
    live(bandit, range(10))
    bandit.reset_user("u", at=NOW + MINUTE)
    later = NOW + 2 * MINUTE
    live(bandit, range(100, 104), "t", later)
    store = bandit.learner.store
    sums = store.personal_sums("u", "s", now=later)
    assert (sums.session, sums.session_units) == (None, 0)
    assert sums.user.N.sum() == pytest.approx(4.0)
    live(bandit, range(200, 204), "s", later)
    sums = store.personal_sums("u", "s", now=later)
    assert (sums.session.N.sum(), sums.session_units) == (pytest.approx(4.0), 4)
    assert sums.user.N.sum() == pytest.approx(4.0)
    bandit.publish()
    with FusionWeights.watch(store, ARMS, every=600) as weights:
        request = {"user_id": "u", "session_id": "s", "now": later}
        assert weights.mean(**request) == pytest.approx(bandit.mean(**request), abs=1e-9)
        assert weights.mean(**request) != bandit.mean()
    bandit.opt_out("u", at=later)
    bandit.publish()
    with FusionWeights.watch(store, ARMS, every=600) as weights:
        assert weights.mean(**request) == bandit.mean(**request) == bandit.mean()


def test_a_posterior_of_before_meets_a_user_of_now(bandit):
    """The user's documents since the snapshot count as its newest ones do, however short the
    half-life."""
    short = FusionBandit.open(
        bandit.learner.store.url, ARMS, namespace=uuid.uuid4().hex, half_life=1e-6
    )
    short.update([shown(n, user_id="u") for n in range(30)])
    short.publish()
    later = NOW + 100 * MINUTE
    live(short, range(50, 53), at=later)
    store = short.learner.store
    with store, FusionWeights.watch(store, ARMS, every=600) as weights:
        served = weights.mean(user_id="u", session_id="t", now=later)
        assert sum(served.values()) == pytest.approx(1.0)
        sums = store.personal_sums("u", "t", now=later, time=weights.current.time)
        assert sums.user.N.sum() == pytest.approx(33.0)


def test_a_watcher_of_a_store_without_evidence_samples_from_the_prior(store_url, namespace):
    cold = FusionBandit.open(store_url, ARMS, namespace=namespace)
    cold.publish()
    request = {"user_id": "u", "session_id": "s", "now": NOW}
    with cold.learner.store as store, FusionWeights.watch(store, ARMS, every=600) as weights:
        assert weights.mean(**request) == cold.mean(**request)
        served = weights.sample(**request)
        assert (served, served.policy) == (cold.sample(**request), "prior")


def test_sums_are_read_by_the_channels_that_are_asked_for(bandit):
    live(bandit, range(9))
    store = bandit.learner.store
    stored = store.personal_sums("u", "s", now=NOW)
    sums = store.personal_sums("u", "s", arms=["video", "audio", "text"], now=NOW)
    assert sums.session.N.tolist() == [0.0, *stored.session.N[[2, 0]].tolist()]
    bandit.compact(NOW + MINUTE)
    closed = store.personal_sums("u", arms=["video", "audio", "text"], time=NOW)
    np.testing.assert_allclose(closed.user.N, sums.session.N)


def test_a_watching_process_loads_no_numba(bandit):
    """Sums are read and added up with numpy alone: compiling would cost a retriever seconds."""
    bandit.learner.store.set_max_queries(5)
    bandit.refresh()
    bandit.update([shown(n, query_snapshot="q") for n in range(300, 400)])
    live(bandit, range(9))
    bandit.compact(NOW - MINUTE)
    bandit.publish()
    expected = bandit.mean(user_id="u", session_id="s", query="q", now=NOW)
    code = f"""if True:
        import datetime as dt, sys
        from rankloom.bandit import FusionWeights, open_store
        now = dt.datetime.fromisoformat({NOW.isoformat()!r})
        store = open_store({bandit.learner.store.url!r}, namespace={bandit.namespace!r})
        with store, FusionWeights.watch(store, {ARMS!r}, every=600) as weights:
            assert weights.sample(user_id="u", session_id="s", now=now).policy == "learned"
            print(list(weights.mean(user_id="u", session_id="s", query="q", now=now).values()))
        heavy = "scipy numba polars pandas pyarrow sklearn lightgbm"
        print(sorted(set(heavy.split()) & set(sys.modules)))
    """
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    mean, heavy = done.stdout.splitlines()
    assert json.loads(mean) == pytest.approx(list(expected.values()), abs=1e-9)
    assert heavy == "[]"


def test_a_deleted_users_unit_does_not_move_the_session_of_a_later_row(store_url):
    """Neither in the bandit nor for a watcher: what was observed live belongs to no session."""
    shown = {"execution_id": "e", "feature_id": "d", "session_id": "s", "feature_uri": "image"}
    shown |= {"position": 0, "interaction_type": ["view", "click"], "timestamp": NOW.isoformat()}
    namespace = uuid.uuid4().hex
    with open_store(store_url, namespace=namespace) as store:
        bandit = FusionBandit(ARMS, store=store, namespace=namespace)
        bandit.observe({**shown, "user_id": "deleted"}, now=NOW)
        bandit.delete_user("deleted", at=NOW - MINUTE)
        bandit.update([{**shown, "user_id": "other"}])
        bandit.publish()
        expected = bandit.mean(now=NOW)
        assert bandit.mean(session_id="s", now=NOW) == expected
        with FusionWeights.watch(store, ARMS, every=600) as weights:
            assert weights.mean(session_id="s", now=NOW) == expected
