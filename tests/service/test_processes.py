"""Several processes over one PostgreSQL: one learns, all serve the same, clicks show at once."""

import contextlib
import functools
import itertools
import threading

import numpy as np
import pytest

from rankloom import InteractionLog
from rankloom._shared.postgres_processes import LeaseKeeper, Leases, Listener, announce
from rankloom.bandit import FusionBandit, open_store
from rankloom.errors import InvalidInputError
from rankloom.service import ServiceSettings
from rankloom.service.learning import retrievers as module
from rankloom.service.learning.retriever import _is_out
from rankloom.service.learning.retrievers import Retrievers

ARMS = ["mixpeek://text", "mixpeek://image"]
WHERE = {"namespace": "shop", "retriever_id": "r"}
FUSION = "/v1/retrievers/r/learned-fusion"
INTERACTIONS = "/v1/retrievers/interactions"


def row(number, kind="impression", **fields):
    given = {
        "feature_id": f"d{number}",
        "interaction_type": [kind],
        "position": number % 5,
        "execution_id": f"e{number // 5}",
        "feature_uri": ARMS[number % 3 == 0],
        "retriever_id": "r",
        "session_id": f"s{number // 20}",
        "user_id": f"u{number // 40}",
    }
    return given | fields


def rows(count):
    clicks = [row(n, "click") for n in range(0, count, 7)]
    return [row(n) for n in range(count)] + clicks


@pytest.fixture
def processes(postgres_url):
    """A function that starts what learns in another process, here beside the others."""
    with contextlib.ExitStack() as stack:

        def start():
            log = stack.enter_context(InteractionLog(postgres_url))
            made = Retrievers(log, postgres_url)
            made.start()
            stack.callback(made.stop)
            return made

        yield start


@pytest.fixture
def log(postgres_url):
    with InteractionLog(postgres_url, **WHERE) as opened:
        yield opened


def same_snapshot(learning):
    names = {each.snapshot_id for each in learning}
    return len(names) == 1 and None not in names


def test_of_several_processes_one_learns_and_all_serve_the_same(processes, log, wait_until):
    log.record_batch(rows(300))
    registries = [processes() for _ in range(3)]
    registries[0].enable(**WHERE, feature_uris=ARMS)
    learning = wait_until(lambda: found(registries))
    wait_until(lambda: same_snapshot(learning))
    assert sum(each.leads for each in learning) == 1
    for request in ({"session_id": "s1", "user_id": "u0"}, {"execution_id": "e"}, {"user_id": "x"}):
        served = [each.weights(**request) for each in learning]
        assert served[0].policy == "learned"
        for other in served[1:]:
            assert other == pytest.approx(served[0], rel=1e-6)
    assert len({each.statistics().open_units for each in learning}) == 1
    # A request to one of them changes all; here each gets one in turn.
    for number, registry in enumerate(registries):
        registry.set_rollout(**WHERE, rollout_pct=10.0 * number)
        wait_until(lambda: len({each.settings.rollout_pct for each in learning}) == 1)
        wait_until(lambda: same_snapshot(learning))
    registries[1].opt_out(**WHERE, user_id="u0")
    wait_until(lambda: all(_is_out(each._bandit.bandit, "u0") for each in learning))


def found(registries):
    learning = [registry.find(**WHERE) for registry in registries]
    return learning if all(learning) else None


def test_who_dies_is_followed_by_another_that_goes_on(processes, log, wait_until):
    log.record_batch(rows(100))
    first, second = processes(), processes()
    first.enable(**WHERE, feature_uris=ARMS)
    learning = wait_until(lambda: found([first, second]))
    wait_until(lambda: same_snapshot(learning))
    leading = wait_until(lambda: [each.leads for each in learning].count(True) == 1 and learning)
    registry, other = (first, learning[1]) if leading[0].leads else (second, learning[0])
    assert not other.leads
    # As when the process is killed: the server ends its lease.
    registry._leases._stopping.set()
    registry._leases._leases._connection.close()
    registry._stopping.set()
    wait_until(lambda: other.leads)
    before = other.snapshot_id
    log.record_batch(rows(300)[100:])
    wait_until(lambda: not other.lag and other.snapshot_id != before)
    with open_store(log.url, **WHERE) as store:
        kept = store.load()
    again = FusionBandit(ARMS, **WHERE)
    again.update(log)
    time = kept.latest
    np.testing.assert_allclose(kept.sums(time=time).N, again.evidence.sums(time=time).N, rtol=1e-9)


def test_a_session_sees_its_click_whichever_process_took_it(processes, log, wait_until):
    log.record_batch(rows(100))
    registries = [processes(), processes()]
    registries[0].enable(**WHERE, feature_uris=ARMS)
    learning = wait_until(lambda: found(registries))
    sessions = (f"own{number}" for number in itertools.count())
    for taker, server in [learning, learning[::-1]] * 2:
        # Where a posterior is renewed meanwhile, one of the two serves it before the other does.
        seen = wait_until(functools.partial(shown_and_bought, log, sessions, taker, server))
        (before, taker_before), (after, taker_after) = seen
        assert before == taker_before
        assert after != before
        assert after == pytest.approx(taker_after, rel=1e-6)


def shown_and_bought(log, sessions, taker, server):
    """Return both's weights before and after a purchase; None where the snapshot has changed."""
    if not same_snapshot([server, taker]):
        return None
    session = next(sessions)
    snapshot_id = server.snapshot_id
    before = [dict(each.weights(session_id=session)) for each in (server, taker)]
    shown = row(1, "impression", execution_id=session, session_id=session, position=0)
    stored = [log.record(shown), log.record({**shown, "interaction_type": ["purchase"]})]
    for each in stored:
        taker.observe(each)
    server.observe_sessions([session])
    after = [dict(each.weights(session_id=session)) for each in (server, taker)]
    if {each.snapshot_id for each in (server, taker)} == {snapshot_id}:
        return before, after
    return None


@pytest.mark.slow
def test_what_is_learnt_in_part_is_served_by_no_process(processes, log, monkeypatch, wait_until):
    """One process learns half of the log and stops: until its end no process serves that half."""
    log.record_batch(rows(400))
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 50)
    whole = reference(log)
    registries = [processes(), processes()]
    registries[0].enable(**WHERE, feature_uris=ARMS)
    learning = wait_until(lambda: found(registries))
    seen = set()

    def look():
        seen.update(each.snapshot_id for each in learning)
        return same_snapshot(learning)

    wait_until(look)
    assert seen - {None} == {whole}


def reference(log):
    """Return the name of the posterior of all of a log, learnt by one process at once."""
    bandit = FusionBandit(ARMS, **WHERE)
    bandit.update(log)
    return bandit.snapshot().snapshot_id


def test_a_lease_is_held_by_one_and_free_when_it_has_gone(postgres_url, wait_until):
    with InteractionLog(postgres_url) as first, InteractionLog(postgres_url) as second:
        first.find()
        second.find()
        ours, theirs = Leases(first.connections.server), Leases(second.connections.server)
        names = {("learner", "a", "r"), ("learner", "b", "r")}
        assert ours.hold(names) == ours.hold(names) == names
        assert theirs.hold(names) == set()
        # What is not wanted any more is let go.
        assert ours.hold(list(names)[:1]) == set(list(names)[:1])
        assert theirs.hold(names) == set(list(names)[1:])
        ours.close()
        wait_until(lambda: theirs.hold(names) == names)
        # A lease that the server has ended is not taken for held.
        theirs._connection.close()
        wait_until(lambda: ours.hold(names) == names)
        assert theirs.hold(names) == set()
        ours.close()
        theirs.close()


def test_a_keeper_takes_what_another_lets_go_of(postgres_url, wait_until, caplog):
    with InteractionLog(postgres_url) as first, InteractionLog(postgres_url) as second:
        first.find()
        second.find()
        names, changes = {("learner", "a", "r"), ("learner", "b", "r")}, []
        ours = LeaseKeeper(first.connections.server, lambda: None)
        ours.want(names)
        wait_until(lambda: ours.held == names)
        theirs = LeaseKeeper(second.connections.server, lambda: changes.append(theirs.held))
        theirs.want(names)
        ours.want(list(names)[:1])
        wait_until(lambda: theirs.held == set(list(names)[1:]))
        ours._leases.hold = lambda _: 1 // 0
        wait_until(lambda: theirs.held == names)
        assert ours.held == set()
        assert "no lease can be held" in caplog.text
        assert changes == [set(list(names)[1:]), names]
        ours.stop()
        theirs.stop()


def test_who_is_busy_with_a_round_takes_over_all_the_same(processes, log, wait_until):
    log.record_batch(rows(100))
    first = processes()
    first.enable(**WHERE, feature_uris=ARMS)
    lease = ("learner", *WHERE.values())
    wait_until(lambda: lease in first._leases.held)
    second, is_free = processes(), threading.Event()
    second._learn = lambda *_: is_free.wait()
    wait_until(lambda: lease in second._leases._wanted)
    first.stop()
    wait_until(lambda: lease in second._leases.held)
    assert not is_free.is_set()
    is_free.set()


def test_a_listener_hears_others_and_not_itself(postgres_url, monkeypatch):
    heard = threading.Event()
    with InteractionLog(postgres_url) as log:
        log.find()
        server = log.connections.server
        listener = Listener(server, heard.set)
        assert heard.wait(60)  # that it listens now
        heard.clear()
        log.connections.writer.run(announce)
        assert not heard.wait(1.0)
        with monkeypatch.context() as other:
            other.setattr("rankloom._shared.postgres_processes._OURS", "another")
            log.connections.writer.run(announce)
            assert not heard.wait(0.2)
        log.connections.writer.run(tell_of_another)
        assert heard.wait(60)
        listener.stop()


def tell_of_another(cursor):
    cursor.execute("SELECT pg_notify('rankloom_news', 'another')")


@pytest.mark.parametrize("name", ["log", "state"])
def test_several_processes_over_a_file_are_refused(name):
    urls = {"log": "postgresql:///db", "state": "postgresql:///db", name: "sqlite:///x.db"}
    with pytest.raises(InvalidInputError, match=f"workers: 2 processes .* {name} is not"):
        ServiceSettings(**urls, token_file="t", workers=2)  # noqa: S106
    assert ServiceSettings(**urls, token_file="t").workers == 1  # noqa: S106
