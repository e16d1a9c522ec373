"""Retrievers that learn while they serve: over real logs and stores, with a thread that follows."""

import datetime as dt
import logging
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager

import numpy as np
import pytest
from msgspec import structs

from rankloom import InteractionLog
from rankloom.bandit import Evidence, FusionBandit, open_store
from rankloom.bandit.learner import Learner
from rankloom.bandit.serving.current_posterior import CurrentPosterior
from rankloom.errors import IntegrityError, InvalidInputError
from rankloom.service.api.fusion_weights import Asking, weights_for
from rankloom.service.learning import retriever as learning
from rankloom.service.learning import retrievers as registry
from rankloom.service.learning import settings_table as retriever_settings
from rankloom.service.learning import state as learnt_state
from rankloom.service.learning.retrievers import Retrievers
from rankloom.service.learning.settings_table import Key, RetrieverSettings, SettingsTable

ARMS = ("text", "image")
START = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)


@pytest.fixture
def log(tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/log.db") as opened:
        yield opened


@pytest.fixture
def state(tmp_path):
    return f"sqlite:///{tmp_path}/state.db"


@contextmanager
def running(log, state, **options):
    retrievers = Retrievers(log, state, **options)
    retrievers.start()
    try:
        yield retrievers
    finally:
        retrievers.stop()
        assert not retrievers.is_alive


def wait(condition, seconds=120.0):
    """Wait until something holds; fail where it never does."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.02)


def row(execution, channel="text", *, clicked=False, **fields):
    return {
        "execution_id": str(execution),
        "feature_id": "d",
        "position": 0,
        "interaction_type": ["impression", "click"] if clicked else ["impression"],
        "feature_uri": channel,
        "user_id": f"u{execution % 3}" if isinstance(execution, int) else None,
        "metadata": {"country": "de"},
        **fields,
    }


def past(n, first=0, **fields):
    """Return rows of the past; of every channel so many that text is better by far."""
    rows = []
    for number in range(first, first + n):
        channel = ARMS[number % 2]
        clicked = number % (4 if channel == "text" else 20) == 0
        time = (START + dt.timedelta(minutes=number)).isoformat()
        rows.append(row(number, channel, clicked=clicked, occurred_at=time, **fields))
    return rows


def learnt(log, namespace="default", retriever="r", arms=ARMS, **settings):
    evidence = Evidence(arms, retriever_id=retriever, **settings)
    evidence.update(log.within(namespace, retriever))
    return evidence.sums([()])


def caught_up(retriever):
    return retriever.lag == 0 and retriever.snapshot_id is not None


def exposures(retriever):
    return list(retriever.statistics().sums.N[0])


def assert_learnt(retriever, log, **settings):
    """Its statistics are those of the log folded at once."""
    sums = learnt(log, *retriever.key, arms=retriever.settings.feature_uris, **settings)
    shown = retriever.statistics().sums
    np.testing.assert_allclose(shown.N[0], sums.N[0], rtol=1e-6)
    np.testing.assert_allclose(shown.S[0], sums.S[0], rtol=1e-6)


def test_what_is_logged_already_is_learnt_in_the_background(log, state):
    log.within("default", "r").record_batch(past(200))
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(retriever))
        assert_learnt(retriever, log)
        weights = retriever.mean()
        assert weights["text"] > 0.55
        assert sum(weights.values()) == pytest.approx(1.0)
        stats = retriever.statistics()
        assert stats.weights["text"] == pytest.approx(weights["text"])
        assert stats.open_units + stats.closed_units == 200
        assert stats.snapshot_id == retriever.weights(user_id="u").snapshot_id


def test_what_comes_is_learnt_without_being_asked_for(log, state):
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        assert retriever.weights(user_id="u").policy == "fallback"
        assert retriever.weights(user_id="u") == {"text": 0.5, "image": 0.5}
        log.within("default", "r").record(row(1))
        wait(lambda: retriever.snapshot_id is not None)
        assert retriever.weights(user_id="u").policy == "learned"


def test_without_evidence_a_service_serves_equal_weights_and_says_why(log, state):
    """Not the prior's samples, though the whole log, empty as it is, has been learnt."""
    retrievers = Retrievers(log, state)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    for rows in ([], [row(1, interaction_type=["click"])]):
        log.within("default", "r").record_batch(rows)
        retriever.learn()
        assert (retriever.lag, retriever.is_reading, retriever.snapshot_id) == (0, False, None)
        for request in (Asking(user_id="u"), Asking()):
            answer = weights_for("r", retriever, request)
            assert answer.weights == {"text": 0.5, "image": 0.5}
            assert (answer.policy, answer.snapshot_id) == ("fallback", None)
            assert "no interaction says yet what was shown" in answer.fallback
        assert not retriever.publish(at_once=True)
    retrievers.stop()


def test_rows_of_another_process_are_learnt(log, state):
    """This process is not notified of them; it looks once a second."""
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        with InteractionLog(log.url, retriever_id="r") as other:
            other.record_batch(past(50))
        wait(lambda: caught_up(retriever))
        assert_learnt(retriever, log)


def test_namespaces_and_retrievers_share_nothing(log, state):
    log.within("a", "r").record_batch(past(40))
    log.within("b", "r").record_batch(past(10))
    log.within("a", "other").record_batch(past(6))
    with running(log, state) as retrievers:
        all_of_them = [
            retrievers.enable(namespace, name, feature_uris=ARMS)
            for namespace, name in (("a", "r"), ("b", "r"), ("a", "other"))
        ]
        for retriever in all_of_them:
            wait(lambda retriever=retriever: caught_up(retriever))
            assert_learnt(retriever, log)
        assert retrievers.lag == 0


def test_known_are_those_that_were_enabled_or_were_logged(log, state):
    log.within("a", "logged").record(row(1))
    with running(log, state) as retrievers:
        retrievers.enable("a", "enabled", feature_uris=ARMS)
        assert [retrievers.is_known("a", n) for n in ("logged", "enabled", "x")] == [
            True,
            True,
            False,
        ]
        assert not retrievers.is_known("b", "enabled")
        assert retrievers.get("a", "logged") is None
        assert retrievers.disable("a", "logged") is None
        assert retrievers.set_rollout("a", "logged", rollout_pct=3.0) is None
        with pytest.raises(InvalidInputError, match="never enabled"):
            retrievers.opt_out("a", "logged", "u")


def test_a_session_moves_before_the_log_is_followed(log, state, monkeypatch):
    view = log.within("default", "r")
    view.record_batch(past(100))
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(retriever))
    # However long this takes, following is compared under one posterior.
    monkeypatch.setattr(learning, "RENEWED_EVERY", 1e9)
    retrievers = Retrievers(log, state)
    retriever = retrievers.get("default", "r")
    assert not retrievers.observe("default", view.record(row("too-early", session_id="s")))
    retriever.learn()
    before, other = retriever.weights(session_id="s"), retriever.weights(session_id="t")
    bought = row("e", "image", session_id="s", interaction_type=["view", "purchase"])
    assert retrievers.observe("default", view.record(bought))
    moved = retriever.weights(session_id="s")
    assert moved["image"] > before["image"]
    assert retriever.weights(session_id="t") == other
    retriever.learn()
    assert retriever.weights(session_id="s")["image"] == pytest.approx(moved["image"], abs=1e-6)
    assert not retrievers.observe("other", view.record(row("f")))
    retrievers.stop()


def test_everything_comes_back_after_a_restart(log, state):
    log.within("a", "r").record_batch(past(60))
    with running(log, state) as retrievers:
        retriever = retrievers.enable(
            "a", "r", feature_uris=ARMS, segment_by=["country"], posterior="beta"
        )
        retrievers.set_rollout("a", "r", rollout_pct=40.0, control_pct=10.0)
        retrievers.enable("a", "off", feature_uris=ARMS)
        retrievers.disable("a", "off")
        wait(lambda: caught_up(retriever))
        weights = retriever.mean(segment="de")
    log.within("a", "r").record(row("new"))
    with running(log, state) as retrievers:
        again = retrievers.get("a", "r")
        assert again.settings == retriever.settings
        assert (again.settings.rollout_pct, again.settings.posterior) == (40.0, "beta")
        assert not retrievers.get("a", "off").settings.enabled
        wait(lambda: caught_up(again))
        assert again.mean(segment="de")["text"] == pytest.approx(weights["text"], abs=0.05)
        assert again.statistics().open_units + again.statistics().closed_units == 61


def test_a_channel_that_is_added_counts_the_rows_that_named_it_before(log, state):
    rows = [*past(40), *(row(f"v{i}", "video", occurred_at=START.isoformat()) for i in range(7))]
    log.within("default", "r").record_batch(rows)
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(retriever))
        assert retriever.statistics().left_out["unknown_feature_uri"] == 7
        assert len(exposures(retriever)) == 2
        more = retrievers.enable("default", "r", feature_uris=[*ARMS, "video"])
        wait(lambda: caught_up(more))
        assert_learnt(more, log)
        assert exposures(more)[2] > 6.0
        fewer = retrievers.enable("default", "r", feature_uris=["image", "video"])
        wait(lambda: caught_up(fewer))
        assert list(fewer.mean()) == ["image", "video"]


def test_other_segments_are_learnt_again_from_the_log(log, state):
    log.within("default", "r").record_batch(past(40))
    with running(log, state) as retrievers:
        first = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(first))
        second = retrievers.enable("default", "r", feature_uris=ARMS, segment_by=["country"])
        wait(lambda: caught_up(second))
        assert second.settings.generation == 1
        assert_learnt(second, log, segment_by=["country"])
        assert second.mean(segment={"country": "de"}) != first.weights()
        with pytest.raises(InvalidInputError, match="segment"):
            second.mean(segment={"city": "x"})


def test_doing_the_same_again_changes_nothing(log, state):
    log.within("default", "r").record_batch(past(20))
    with running(log, state) as retrievers:
        first = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(first))
        assert retrievers.enable("default", "r", feature_uris=ARMS) is first
        assert first.settings.generation == 0
        assert caught_up(first)


@pytest.mark.parametrize("killed", ["before the clearing", "after the clearing"])
def test_a_kill_while_settings_change_leaves_no_mixture(log, state, killed):
    """The next start clears what was learnt before, and keeps users' resets and opt-outs."""
    log.within("default", "r").record_batch(past(40))
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(retriever))
        retrievers.opt_out("default", "r", "u1")
        settings = retriever.settings
    changed = type(settings)(feature_uris=ARMS, segment_by=("country",), generation=1)
    SettingsTable(log).change(Key("default", "r"), lambda _: changed, "ann", "enable")
    if killed == "after the clearing":
        with open_store(state, retriever_id="r") as store:
            store.clear(keep_resets=True)
    with running(log, state) as retrievers:
        again = retrievers.get("default", "r")
        wait(lambda: caught_up(again))
        assert again.settings == changed
        assert_learnt(again, log, segment_by=["country"])
    with open_store(state, retriever_id="r") as store:
        assert store.log_position().generation == 1
        assert store.personal_sums("u1").user.N.sum() == 0.0
        assert store.personal_sums("u2").user.N.sum() > 0.0


def test_disabled_serves_equal_weights_and_learns_nothing_until_enabled(log, state):
    view = log.within("default", "r")
    view.record_batch(past(100))
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(retriever))
        learned = retriever.mean()
        retrievers.disable("default", "r")
        for weights in (retriever.weights(user_id="u"), retriever.mean()):
            assert weights == {"text": 0.5, "image": 0.5}
        before = exposures(retriever)
        view.record_batch(past(40, first=1_000))
        assert retriever.learn() == 0
        assert exposures(retriever) == before
        assert not retrievers.observe("default", view.record(row("e", session_id="s")))
        again = retrievers.enable("default", "r", feature_uris=ARMS)
        assert again.mean()["text"] == pytest.approx(learned["text"], abs=0.2)
        wait(lambda: caught_up(again) and exposures(again) != before)
        assert_learnt(again, log)


def test_roll_out_chooses_who_gets_learned_weights(log, state):
    log.within("default", "r").record_batch(past(100))
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(retriever))
        retrievers.set_rollout("default", "r", rollout_pct=50.0)
        policies = [retriever.weights(user_id=f"u{i}").policy for i in range(200)]
        assert 60 < policies.count("learned") < 140
        assert policies.count("learned") + policies.count("production") == 200
        retrievers.set_rollout("default", "r", shadow_mode=True)
        served = retriever.weights(user_id="u1")
        assert (served.policy, dict(served)) == ("shadow", {"text": 0.5, "image": 0.5})
        assert served.shadow["text"] > 0.5
        with pytest.raises(InvalidInputError, match="rollout_pct"):
            retrievers.set_rollout("default", "r", rollout_pct=101.0)
        assert retrievers.get("default", "r").settings.rollout_pct == 50.0


def test_who_opted_out_gets_the_weights_of_all(log, state):
    rows = [
        row(f"e{i}", "image", clicked=True, user_id="fan", occurred_at=START.isoformat())
        for i in range(60)
    ]
    log.within("default", "r").record_batch([*past(200), *rows])
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS, posterior="beta")
        wait(lambda: caught_up(retriever))

        def difference():
            """How much more image a user gets than one of whom nothing is known: same noise."""
            fan = retriever._bandit.mean(user_id="fan")["image"]
            return fan - retriever._bandit.mean(user_id="unknown")["image"]

        assert difference() > 0.01
        retrievers.opt_out("default", "r", "fan")
        wait(lambda: difference() == 0.0)
        retrievers.opt_in("default", "r", "fan")
        log.within("default", "r").record(row("later", "image", clicked=True, user_id="fan"))
        wait(lambda: difference() > 0.0)


def test_a_deleted_user_leaves_no_trace_of_the_user(log, state):
    log.within("default", "r").record_batch(past(60))
    with running(log, state) as retrievers:
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: caught_up(retriever))
        assert log.within("default", "r").delete_user("u1") == 20
        retrievers.delete_user("default", "r", "u1")
        wait(lambda: retriever._follower.log_position.deletion > 0)
        with open_store(state, retriever_id="r") as store:
            assert store.personal_sums("u1").user.N.sum() == 0.0
            assert store.personal_sums("u2").user.N.sum() > 0.0


def test_old_evidence_is_closed_when_no_older_rows_come_any_more(log, state, monkeypatch):
    """A closed state refuses what is older: nothing is closed while an import goes on."""
    view = log.within("default", "r")
    view.record_batch(past(50))
    retrievers = Retrievers(log, state)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    retriever.learn(limit=20)
    now = START + dt.timedelta(days=60)
    retriever.compact(now)
    assert retriever.statistics().closed_units == 0
    retriever.learn()
    retriever.compact(now)
    assert retriever.statistics().closed_units == 0
    monkeypatch.setattr(learning, "SETTLED_AFTER", 0.0)
    retriever.compact(now)
    stats = retriever.statistics()
    assert (stats.open_units, stats.closed_units) == (0, 50)
    assert_learnt(retriever, log)
    view.record_batch(past(1, first=2_000))
    retriever.learn()
    assert retriever.statistics().left_out["before_compaction"] == 1
    retrievers.stop()


def test_open_days_are_how_long_late_rows_are_learnt(log, state, monkeypatch):
    """What is older is closed into sums; late rows of it are counted and teach nothing."""
    monkeypatch.setattr(learning, "SETTLED_AFTER", 0.0)
    view, now = log.within("default", "r"), START + dt.timedelta(days=10)
    moments = [now - dt.timedelta(days=days) for days in (0.5, 4.9, 5.1, 9.0)]
    view.record_batch([row(n, occurred_at=at.isoformat()) for n, at in enumerate(moments)])
    retrievers = Retrievers(log, state, open_days=5.0)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    retriever.learn()
    retriever.compact(now)
    stats = retriever.statistics()
    assert (stats.open_units, stats.closed_units) == (2, 2)
    assert_learnt(retriever, log)
    before = exposures(retriever)
    late = [row(n + 10, occurred_at=at.isoformat()) for n, at in enumerate(moments)]
    view.record_batch(late[2:])
    retriever.learn()
    assert retriever.statistics().left_out["before_compaction"] == 2
    assert exposures(retriever) == before
    view.record_batch(late[:2])
    retriever.learn()
    assert retriever.statistics().open_units == 4
    retrievers.stop()


def test_retention_deletes_old_rows_of_every_namespace_and_unlearns_nothing(log, state):
    now = dt.datetime.now(dt.UTC)
    for namespace in ("a", "b"):
        view = log.within(namespace, "r")
        view.record_batch([row(i, occurred_at=START.isoformat()) for i in range(5)])
        view.record_batch([row(i + 10, occurred_at=now.isoformat()) for i in range(3)])
    retrievers = Retrievers(log, state, retention_days=(now - START).days - 1.0)
    retriever = retrievers.enable("a", "r", feature_uris=ARMS)
    retriever.learn()
    retrievers._clean(now)
    kept = [log.within(name, "r").find(include_total=True).total for name in ("a", "b")]
    assert kept == [3, 3]
    stats = retriever.statistics()
    assert stats.open_units + stats.closed_units == 8
    retrievers.stop()


def test_errors_are_logged_and_retried_and_kill_no_thread(log, tmp_path, caplog):
    """While the folder of the state is missing nothing is learnt; then all of it is."""
    log.within("default", "r").record_batch(past(30))
    with (
        caplog.at_level(logging.WARNING, logger="rankloom.service"),
        running(log, f"sqlite:///{tmp_path}/absent/state.db") as retrievers,
    ):
        retriever = retrievers.enable("default", "r", feature_uris=ARMS)
        wait(lambda: "cannot learn" in caplog.text)
        assert retrievers.is_alive
        assert retriever.weights(user_id="u").policy == "fallback"
        (tmp_path / "absent").mkdir()
        wait(lambda: caught_up(retriever))
        assert_learnt(retriever, log)


def test_a_retriever_that_cannot_learn_keeps_no_other_from_it(log, state, monkeypatch, caplog):
    """Whatever goes wrong with one; the log says where it was, and nothing that was sent."""
    for name in ("bad", "good"):
        log.within("default", name).record_batch(past(30))
    healthy = learning.LearningRetriever.learn

    def learn(retriever, *, limit=None):
        if retriever.key.retriever_id == "bad":
            msg = "what was sent"
            raise ZeroDivisionError(msg)
        return healthy(retriever, limit=limit)

    monkeypatch.setattr(learning.LearningRetriever, "learn", learn)
    with (
        caplog.at_level(logging.WARNING, logger="rankloom.service"),
        running(log, state) as retrievers,
    ):
        retrievers.enable("default", "bad", feature_uris=ARMS)
        good = retrievers.enable("default", "good", feature_uris=ARMS)
        wait(lambda: caught_up(good))
        wait(lambda: "ZeroDivisionError" in caplog.text)
    assert "what was sent" not in caplog.text


def test_settings_that_are_changed_at_once_are_changed_one_after_the_other(log):
    """Two processes that send a state to another generation each send it to one of its own."""
    key = Key("default", "r")

    def next_generation(before):
        return structs.replace(before, generation=before.generation + 1)

    SettingsTable(log).change(key, lambda _: RetrieverSettings(feature_uris=ARMS), "ann", "enable")
    with InteractionLog(log.url) as other, ThreadPoolExecutor(4) as pool:
        tables = [SettingsTable(log), SettingsTable(other)]
        made = pool.map(
            lambda n: tables[n % 2].change(key, next_generation, "ann", "enable"), range(60)
        )
        assert sorted(each.generation for each in made) == list(range(1, 61))


def test_the_retrievers_of_a_namespace_are_bounded(log, state, monkeypatch):
    """One tenant cannot fill the memory, and takes no memory from another."""
    monkeypatch.setattr(retriever_settings, "MOST_RETRIEVERS", 2)
    retrievers = Retrievers(log, state)
    for name in ("a", "b"):
        retrievers.enable("shop", name, feature_uris=ARMS)
    with pytest.raises(InvalidInputError, match="at most 2 retrievers"):
        retrievers.enable("shop", "c", feature_uris=ARMS)
    assert retrievers.get("shop", "c") is None
    assert retrievers.enable("shop", "a", feature_uris=("text",)).settings.generation == 0
    assert retrievers.enable("other", "a", feature_uris=ARMS)
    retrievers.stop()


def test_pauses_grow_up_to_a_minute():
    pause, lengths = None, []
    for _ in range(9):
        pause = registry._Pause.after(pause)
        lengths.append(pause.length)
    assert lengths == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


@pytest.mark.slow
def test_two_processes_over_one_log_serve_what_both_were_sent(log, state):
    """Settings, rows, resets and opt-outs of one reach the other."""
    view = log.within("default", "r")
    view.record_batch(past(60))
    with (
        InteractionLog(log.url) as again,
        running(log, state) as ours,
        running(again, state) as theirs,
    ):
        first = ours.enable("default", "r", feature_uris=ARMS)
        wait(lambda: theirs.get("default", "r") is not None)
        second = theirs.get("default", "r")
        wait(lambda: caught_up(first) and caught_up(second))
        ours.enable("default", "r", feature_uris=[*ARMS, "video"], segment_by=["country"])
        again.within("default", "r").record_batch(past(30, first=500))
        wait(lambda: theirs.get("default", "r").settings.generation == 1)
        for retrievers in (ours, theirs):
            retriever = retrievers.get("default", "r")
            wait(lambda retriever=retriever: caught_up(retriever))
            wait(lambda retriever=retriever: sum(exposures(retriever)) > 80.0)
            assert_learnt(retriever, log, segment_by=["country"])
        ours.opt_out("default", "r", "u1")
        bandit = theirs.get("default", "r")._bandit
        wait(lambda: bandit.learner.evidence.sums([("user", "u1")]).N.sum() == 0.0)


def test_the_number_of_users_is_bounded(log, state, monkeypatch):
    monkeypatch.setattr(learnt_state, "MAX_USERS", 5)
    monkeypatch.setattr(learning, "SETTLED_AFTER", 0.0)
    rows = [row(f"e{i}", user_id=f"u{i}", occurred_at=START.isoformat()) for i in range(20)]
    log.within("default", "r").record_batch(rows)
    retrievers = Retrievers(log, state)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    retriever.learn()
    retriever.compact(START + dt.timedelta(days=60))
    assert retriever.statistics().users == 5
    retrievers.stop()


def test_requests_never_compute_the_posterior(log, state):
    """Whatever came since, the snapshot served is that of the last renewal."""
    view = log.within("default", "r")
    view.record_batch(past(20))
    retrievers = Retrievers(log, state)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    retriever.learn()
    snapshot = retriever.snapshot_id
    view.record_batch(past(400, first=100))
    retriever._follower.catch_up()
    assert retriever._bandit.is_stale
    for user in ("u1", "u2"):
        assert retriever.weights(user_id=user, session_id="s").snapshot_id == snapshot
        retriever.mean()
    assert retriever.snapshot_id == snapshot
    wait(lambda: retriever.learn() == 0 and retriever.snapshot_id != snapshot)
    retrievers.stop()


def test_what_took_long_rests_long_and_a_change_by_hand_shows_at_once(log, state):
    """A posterior that is still at rest is not renewed with every row that comes."""
    view = log.within("default", "r")
    view.record_batch(past(60))
    retrievers = Retrievers(log, state)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    retriever.learn()
    snapshot, now = retriever.snapshot_id, time.monotonic()
    retriever._pace.note(now, now + 1_000.0)
    view.record_batch(past(60, first=100))
    retriever.learn()
    assert retriever._bandit.is_stale
    assert retriever.snapshot_id == snapshot
    retriever.opt_out("u1")
    retriever.learn()
    assert not retriever._bandit.is_stale
    assert retriever.snapshot_id != snapshot
    retrievers.stop()


def test_who_asks_while_evidence_is_read_again_gets_learned_weights(log, state, monkeypatch):
    """The posterior is replaced in one step, whatever is refreshed or rolled out."""
    log.within("default", "r").record_batch(past(60))
    retrievers = Retrievers(log, state)
    retriever = retrievers.enable("default", "r", feature_uris=ARMS)
    retriever.learn()
    policies = []

    def set_and_ask(part, name, value):
        object.__setattr__(part, name, value)
        policies.append(retriever.weights(user_id="u").policy)

    for part in (FusionBandit, Learner, CurrentPosterior):
        monkeypatch.setattr(part, "__setattr__", set_and_ask, raising=False)
    retriever.refresh()
    retrievers.set_rollout("default", "r", explore_pct=1.0)
    monkeypatch.undo()
    assert len(policies) > 1
    assert "fallback" not in policies
    retrievers.stop()


def test_a_retriever_whose_place_was_taken_learns_no_more(log, state):
    """The thread may still have it at hand: it opens no state and publishes nothing."""
    view = log.within("default", "r")
    view.record_batch(past(60))
    retrievers = Retrievers(log, state)
    old = retrievers.enable("default", "r", feature_uris=ARMS)
    old.learn()
    new = retrievers.enable("default", "r", feature_uris=[*ARMS, "video"])
    view.record_batch(past(20, first=100))
    held = old.mean()
    retrievers._learn(old.key, old)
    assert old.learn() == 0
    assert not old.publish(at_once=True)
    old.refresh()
    old.compact(START + dt.timedelta(days=60))
    assert old._store is None
    assert old.mean() == held
    new.learn()
    assert old.learn() == 0
    assert_learnt(new, log)
    retrievers.stop()


def test_what_went_wrong_with_the_old_one_does_not_delay_the_new(log, state, monkeypatch):
    retrievers = Retrievers(log, state)
    old = retrievers.enable("default", "r", feature_uris=ARMS)

    def learn(_, *, limit):
        retrievers.enable("default", "r", feature_uris=[*ARMS, "video"])
        msg = f"a store that was away for {limit} rows"
        raise IntegrityError(msg)

    with monkeypatch.context() as patched:
        patched.setattr(learning.LearningRetriever, "learn", learn)
        retrievers._learn(old.key, old)
    assert retrievers._pauses == {}
    assert retrievers.get("default", "r") is not old
    retrievers.stop()


def test_damaged_settings_are_reported_at_the_start(log, state):
    Retrievers(log, state).enable("default", "r", feature_uris=ARMS)
    with closing(sqlite3.connect(log.url.removeprefix("sqlite:///"))) as connection:
        connection.execute("UPDATE fusion_retrievers SET settings = '{'")
        connection.commit()
    with pytest.raises(IntegrityError, match="settings"):
        Retrievers(log, state)
