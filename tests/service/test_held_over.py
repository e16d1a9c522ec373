"""While a service learns anew, the last weights are served until the log is learnt."""

import contextlib
import datetime as dt
import shutil
import sqlite3

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rankloom import FusionBandit, FusionWeights, InteractionLog
from rankloom.bandit import open_store
from rankloom.errors import InvalidInputError
from rankloom.service.api.fusion_weights import Asking, weights_for
from rankloom.service.learning.previous_weights import carried_over
from rankloom.service.learning.renewal_pace import RenewalPace
from rankloom.service.learning.retrievers import Retrievers

ARMS = ("text", "image")
MORE = ("text", "video", "image")
ROWS = 20_000
START = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
BASE = "/v1/retrievers/r/learned-fusion"

weighed = st.dictionaries(st.sampled_from("abcdefg"), st.floats(0.01, 1.0), min_size=1)


def rows(number):
    """Return rows of which the earliest say the contrary of all the others."""
    made = []
    for n in range(number):
        channel = MORE[n % 3]
        good = channel == ("image" if n < number // 4 else "text")
        clicked = n % (7 if good else 29) == 0
        made.append(
            {
                "execution_id": f"e{n}",
                "feature_id": "d",
                "position": 0,
                "interaction_type": ["impression", "click"] if clicked else ["impression"],
                "feature_uri": channel,
                "user_id": f"u{n % 50}",
                "metadata": {"country": ("de", "fr")[n % 2]},
                "occurred_at": (START + dt.timedelta(minutes=n)).isoformat(),
            }
        )
    return made


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The file of a log with many rows."""
    path = tmp_path_factory.mktemp("log") / "log.db"
    with InteractionLog(f"sqlite:///{path}", namespace="shop", retriever_id="r") as log:
        assert log.record_batch(rows(ROWS)).created == ROWS
    return path


@pytest.fixture
def log(written, tmp_path):
    shutil.copy(written, tmp_path / "log.db")
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as opened:
        yield opened


@pytest.fixture
def state(tmp_path):
    return f"sqlite:///{tmp_path}/fusion.db"


@contextlib.contextmanager
def opened(log, state, **options):
    """Retrievers whose thread does not run: they learn as far as a test lets them."""
    retrievers = Retrievers(log, state, **options)
    try:
        yield retrievers
    finally:
        retrievers.stop()


def enable(retrievers, arms, **options):
    return retrievers.enable("shop", "r", feature_uris=arms, **options)


def learn(retriever):
    """Learn to the end of the log."""
    while retriever.learn(limit=5_000):
        pass
    assert retriever.lag == 0


def answer(retriever, **asker):
    return weights_for("r", retriever, Asking(**asker))


def by_the_formula(old):
    """Return old weights of ARMS for MORE: 1/3 for the new channel, 2/3 for those before."""
    return {"text": old["text"] * 2 / 3, "video": 1 / 3, "image": old["image"] * 2 / 3}


def at_once(log, arms=MORE, **settings):
    """Return a bandit that learnt the same rows in one go."""
    bandit = FusionBandit(arms, namespace="shop", retriever_id="r", **settings)
    bandit.update(log.within("shop", "r"))
    return bandit


def stored_mark(state):
    with open_store(state, namespace="shop", retriever_id="r") as store:
        return store.log_position()


@given(weights=weighed, channels=st.lists(st.sampled_from("abcdefg"), min_size=1, unique=True))
def test_new_channels_get_their_share_and_the_others_keep_their_proportions(weights, channels):
    carried = carried_over(weights, channels)
    assert list(carried) == channels
    old = [uri for uri in channels if uri in weights]
    for uri in set(channels) - set(old):
        assert carried[uri] == 1.0 / len(channels)
    if set(channels) == set(weights):
        assert carried == weights
    else:
        assert sum(carried.values()) == pytest.approx(1.0)
    for uri in old:
        assert carried[uri] * weights[old[0]] == pytest.approx(carried[old[0]] * weights[uri])


@given(costs=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30))
def test_what_is_costly_rests_longer(costs):
    """It takes a tenth of the time at most, and is due again as soon as that lets it be.

    What took so long that it would rest over a minute rests a minute.
    """
    pace, now = RenewalPace(1.0, 0.1), 0.0
    for cost in costs:
        assert pace.is_due(now)
        pace.note(now, now + cost)
        rest = max(1.0, min(9.0 * cost, 60.0))
        assert not pace.is_due(now + cost + 0.99 * rest)
        now += cost + 1.0001 * rest
        assert cost <= 0.1 * (cost + rest) + 1e-9 or rest == 60.0


def test_until_another_channel_is_learnt_the_last_weights_are_held_over(log, state):
    with opened(log, state) as retrievers:
        before = enable(retrievers, ARMS)
        learn(before)
        mean, served = before.mean(), before.weights(user_id="unknown")
        assert answer(before, user_id="unknown").fallback is None
        again = enable(retrievers, MORE)
        for _ in range(4):
            assert again.mean() == pytest.approx(by_the_formula(mean), rel=1e-12)
            held = again.weights(user_id="unknown")
            assert held == pytest.approx(by_the_formula(served), rel=1e-12)
            for found in (answer(again), answer(again, user_id="unknown")):
                assert found.snapshot_id == served.snapshot_id
                assert "not learnt to its end" in found.fallback
                assert found.metadata["fusion"]["weights"] == found.weights
            assert answer(again).policy == "mean"
            assert answer(again, user_id="unknown").policy == "learned"
            assert again.statistics().lag > 0
            again.learn(limit=4_000)
        assert 0 < stored_mark(state).row < ROWS
        learn(again)
        assert again.mean() == pytest.approx(at_once(log).mean(), rel=1e-9)
        found = answer(again, user_id="unknown")
        assert found.fallback is None
        assert found.snapshot_id == again.statistics().snapshot_id != served.snapshot_id


def test_channels_that_are_gone_leave_their_weight_to_the_others(log, state):
    with opened(log, state) as retrievers:
        before = enable(retrievers, MORE)
        learn(before)
        mean = before.mean()
        fewer = enable(retrievers, ("image", "text"))
        both = mean["image"] + mean["text"]
        expected = {uri: mean[uri] / both for uri in ("image", "text")}
        assert fewer.mean() == pytest.approx(expected, rel=1e-12)
        assert fewer.held_over
        learn(fewer)
        assert not fewer.held_over


def test_where_the_fields_of_segments_change_everybody_gets_the_weights_of_all(log, state):
    with opened(log, state) as retrievers:
        before = enable(retrievers, ARMS, segment_by=["country"])
        learn(before)
        mean, german = before.mean(), before.mean(segment={"country": "de"})
        same = enable(retrievers, MORE, segment_by=["country"])
        held = same.mean(segment={"country": "de"})
        assert held == pytest.approx(by_the_formula(german), rel=1e-12)
        other = enable(retrievers, MORE, segment_by=["city"])
        assert other.mean(segment={"city": "Bonn"}) == pytest.approx(by_the_formula(mean))
        with pytest.raises(InvalidInputError, match="segment"):
            other.mean(segment={"country": "de"})


def test_roll_out_and_experiments_go_on_meanwhile(log, state):
    with opened(log, state) as retrievers:
        learn(enable(retrievers, ARMS))
        again = enable(retrievers, MORE)
        retrievers.set_rollout("shop", "r", rollout_pct=50.0)
        found = [answer(again, user_id=f"u{n}") for n in range(100)]
        assert {each.policy for each in found} == {"learned", "production"}
        for each in found:
            held = each.policy == "learned"
            assert (each.fallback is not None) == (each.snapshot_id is not None) == held
        retrievers.set_rollout("shop", "r", shadow_mode=True)
        shadow = answer(again, user_id="u")
        assert shadow.weights == dict.fromkeys(MORE, 1 / 3)
        assert set(shadow.metadata["fusion"]["shadow"]) == set(MORE)


def test_what_was_never_learnt_is_equal_until_the_log_is_learnt_to_its_end(log, state):
    """The earliest rows say the contrary of all; no request is served by them alone."""
    with opened(log, state) as retrievers:
        first = enable(retrievers, MORE)
        for _ in range(4):
            for found in (answer(first), answer(first, user_id="u")):
                assert found.weights == dict.fromkeys(MORE, 1 / 3)
                assert (found.policy, found.snapshot_id) == ("fallback", None)
                assert "not learnt to its end" in found.fallback
            first.learn(limit=4_000)
        learn(first)
        assert first.mean() == pytest.approx(at_once(log).mean(), rel=1e-9)
        assert first.mean()["text"] > 1 / 3


def test_a_restart_in_the_middle_goes_on_with_the_weights_of_before(log, state):
    with opened(log, state) as retrievers:
        before = enable(retrievers, ARMS)
        learn(before)
        mean = before.mean()
        again = enable(retrievers, MORE)
        again.learn(limit=8_000)
    assert 0 < stored_mark(state).row < ROWS
    with opened(log, state) as retrievers:
        again = retrievers.get("shop", "r")
        assert again.mean() == pytest.approx(by_the_formula(mean), rel=1e-12)
        again.learn(limit=8_000)
        assert again.mean() == pytest.approx(by_the_formula(mean), rel=1e-12)
        learn(again)
        assert again.mean() == pytest.approx(at_once(log).mean(), rel=1e-9)
        last = again.mean()
    with opened(log, state) as retrievers:
        assert retrievers.get("shop", "r").mean() == last


def test_every_process_over_the_state_holds_over_until_it_has_caught_up(log, state):
    with (
        InteractionLog(log.url) as again,
        opened(log, state) as ours,
        opened(again, state) as theirs,
    ):
        before = enable(ours, ARMS)
        learn(before)
        theirs._load()
        learn(theirs.get("shop", "r"))
        mean = before.mean()
        first = enable(ours, MORE)
        theirs._load()
        second = theirs.get("shop", "r")
        first.learn(limit=5_000)
        second.learn(limit=5_000)
        for each in (first, second):
            assert each.mean() == pytest.approx(by_the_formula(mean), rel=1e-9)
        with opened(again, state) as later:
            held = later.get("shop", "r").mean()
            assert held == pytest.approx(by_the_formula(mean), rel=1e-9)
        learn(first)
        assert first.held_over is None
        assert second.held_over is not None
        learn(second)
        expected = at_once(log).mean()
        for each in (first, second):
            assert each.mean() == pytest.approx(expected, rel=1e-9)


def test_a_watcher_that_starts_meanwhile_gets_the_weights_of_before(log, state):
    with opened(log, state) as retrievers:
        learn(enable(retrievers, ARMS))
        again = enable(retrievers, MORE)
        mean = again.last_snapshot.mean()
        again.learn(limit=5_000)
        with (
            open_store(state, namespace="shop", retriever_id="r") as store,
            FusionWeights.watch(store, ARMS, every=600) as watcher,
        ):
            assert watcher.mean() == mean


def test_a_state_that_is_lost_is_learnt_again_behind_the_weights_of_before(log, state):
    with opened(log, state) as retrievers:
        retriever = enable(retrievers, MORE)
        learn(retriever)
        assert retriever.publish()
        mean = retriever.mean()
        with open_store(state, namespace="shop", retriever_id="r") as store:
            store.clear()
        for _ in range(3):
            retriever.learn(limit=5_000)
            assert retriever.held_over
            assert retriever.mean() == mean
            assert not retriever.publish(at_once=True)
        learn(retriever)
        assert not retriever.held_over
        assert retriever.mean() == pytest.approx(mean, rel=1e-9)
        assert retriever.publish()
        with open_store(state, namespace="shop", retriever_id="r") as store:
            assert store.get_snapshot() is not None


def test_a_part_that_another_process_has_learnt_again_is_not_served(log, state):
    """Looking for what others wrote finds a state that was lost too, and a half of it."""
    with (
        InteractionLog(log.url) as again,
        opened(log, state) as ours,
        opened(again, state) as other,
    ):
        retriever = enable(ours, MORE)
        learn(retriever)
        assert retriever.publish()
        mean = retriever.mean()
        with open_store(state, namespace="shop", retriever_id="r") as store:
            store.clear()
        other._load()
        other.get("shop", "r").learn(limit=100)
        assert stored_mark(state).row == 100
        retriever._pace.hurry()
        retriever.refresh()
        assert retriever.mean() == mean
        assert retriever.held_over
        assert not retriever.publish(at_once=True)
        with open_store(state, namespace="shop", retriever_id="r") as store:
            assert store.get_snapshot() is None
        learn(retriever)
        assert retriever.mean() == pytest.approx(mean, rel=1e-9)


@pytest.fixture
def serving(tmp_path, started, started_address, tokens_for, client_of):
    """A function that runs `rankloom serve` over the test's log and state."""
    tokens = tokens_for(tmp_path / "tokens", "shop")

    @contextlib.contextmanager
    def serve(*options):
        with started(tmp_path, *options) as process:
            try:
                client = client_of(started_address(process), tokens)
                client.process = process
                with client.http:
                    yield client
            finally:
                process.kill()

    return serve


@pytest.mark.slow
def test_killed_in_the_middle_of_learning_anew(tmp_path, log, state, serving, wait_until):
    """Real processes: one learns, enables and is killed, the next is kept from learning."""
    # So many that the learner rests in between, and is there to be killed.
    log.within("shop", "r").record_batch(
        [each | {"execution_id": f"x{n}"} for n, each in enumerate(rows(5_000))]
    )

    def weights(client):
        return client.get(f"{BASE}/weights").json()

    with serving("--publish-every", "0") as client:
        client.post({"feature_uris": ARMS, "min_lists": 0}, f"{BASE}/enable")
        wait_until(lambda: weights(client)["policy"] == "mean")
        known = weights(client)
        client.post({"feature_uris": MORE, "min_lists": 0}, f"{BASE}/enable")
        held = weights(client)
        wait_until(lambda: (mark := stored_mark(state)) and mark.generation and mark.row)
        client.process.kill()
        client.process.wait()
    assert held["weights"] == pytest.approx(by_the_formula(known["weights"]), rel=1e-12)
    assert held["snapshot_id"] == known["snapshot_id"]
    assert "not learnt to its end" in held["fallback"]
    assert stored_mark(state).row < log.last_row
    with contextlib.closing(sqlite3.connect(tmp_path / "fusion.db")) as connection:
        connection.isolation_level = None
        connection.execute("BEGIN IMMEDIATE")
        with serving() as client:
            assert weights(client) == held
            connection.execute("ROLLBACK")
            wait_until(lambda: weights(client)["fallback"] is None)
            expected = at_once(log).mean()
            assert weights(client)["weights"] == pytest.approx(expected, rel=1e-9)
            client.process.terminate()
            assert client.process.wait(60) == 0
