"""Bandits over one store learn together, from whichever process the rows come."""

import datetime as dt
import shutil
import uuid

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rankloom._shared.ids import stable_id
from rankloom.bandit import FusionBandit
from rankloom.bandit.store import replica
from rankloom.bandit.store.log_position import LogPosition
from rankloom.bandit.store.serialization import catch_up
from rankloom.bandit.units.array_memory import InMemory
from rankloom.errors import StateMismatchError, StoreError

ARMS = ["text", "image"]
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)
LATER = (NOW + dt.timedelta(days=2)).isoformat()


def row(n, arm, types=("impression",), **fields):
    return {
        "execution_id": f"e{n}",
        "feature_id": f"d{n}",
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": arm,
        "timestamp": NOW.isoformat(),
        **fields,
    }


def rows(good="text", n=200, **fields):
    made = []
    for i in range(n):
        clicked = i // 2 % (3 if ARMS[i % 2] == good else 6) == 0
        types = ["impression", "click"] if clicked else ["impression"]
        made.append(row(f"{good}{i}", ARMS[i % 2], types, **fields))
    return made


@pytest.fixture
def open_bandit(store_url, namespace):
    return lambda arms=ARMS, **options: FusionBandit.open(
        store_url, arms, **{"namespace": namespace, **options}
    )


def test_what_one_process_learns_the_other_serves_after_a_refresh(open_bandit):
    alone = FusionBandit(ARMS)
    alone.update(rows())
    writer, reader = open_bandit(), open_bandit()
    assert writer.update(rows()).units_opened == 200
    assert writer.mean() == pytest.approx(alone.mean(), rel=1e-9)
    assert reader.mean() == {"text": 0.5, "image": 0.5}
    reader.refresh()
    assert reader.mean() == writer.mean()
    assert open_bandit().mean() == writer.mean()
    assert open_bandit(namespace="another").evidence.summary.open_units == 0


def test_both_write_in_any_mix_with_resends_and_end_in_one_state(open_bandit):
    alone = FusionBandit(ARMS)
    everything = rows(user_id="u") + rows("image", 60)
    alone.update(everything)
    one, other = open_bandit(), open_bandit()
    one.update(everything[:150])
    other.update(everything[100:])
    for each in everything[90:110]:
        one.observe(each, now=NOW)
    assert one.update(everything[:150]).rows_changing == 0
    for bandit in (one, other):
        bandit.refresh()
        assert bandit.mean() == pytest.approx(alone.mean(), rel=1e-9)
        assert bandit.mean(user_id="u") == pytest.approx(alone.mean(user_id="u"), rel=1e-9)


def test_what_a_process_wrote_itself_is_not_read_again(open_bandit, store_url, monkeypatch):
    if store_url.startswith(("redis", "unix")):
        pytest.skip("in Redis others may write before a commit, so all is read again")
    bandit = open_bandit()
    bandit.update(rows()[:1])
    bandit.refresh()  # reads the state as a whole, for there was none before
    read = []

    def counting(evidence, settings, resets, units):
        read.append(len(units))
        catch_up(evidence, settings, resets, units)

    monkeypatch.setattr(replica, "catch_up", counting)
    bandit.update(rows())
    bandit.observe(rows("image")[0], now=NOW)
    bandit.refresh()
    batch = bandit.learner.fresh()
    batch.update(rows("video", 20))
    start = LogPosition("log", 0)
    bandit.learner.take_in(batch, log_position=LogPosition("log", 1), expected=start)
    bandit.refresh()
    assert sum(read) == 0
    other = open_bandit()
    other.update(rows("image", 10))
    bandit.update(rows("image", 30)[20:])
    bandit.refresh()
    # Those of the other, and its own that came after them; one was there already.
    assert sum(read) == 9 + 10
    assert bandit.mean() == pytest.approx(open_bandit().mean(), rel=1e-9)


def named(bandit, user_id):
    return int((bandit.evidence.state.units.records["user"] == stable_id(user_id)).sum())


class FullDisk(InMemory):
    def zeros(self, shape, dtype):
        msg = f"no space left for {shape} of {dtype}"
        raise StoreError(msg)


def test_a_refresh_that_fails_is_made_up_for_by_the_next(open_bandit):
    one, other = open_bandit(), open_bandit()
    one.update(rows()[:5])
    one.refresh()
    other.update(rows("image"))
    memory, one.evidence.state.units.memory = one.evidence.state.units.memory, FullDisk()
    with pytest.raises(StoreError, match="no space left"):
        one.refresh()
    one.evidence.state.units.memory = memory
    one.refresh()
    assert one.evidence.summary.open_units == 205


def test_what_others_do_between_storing_and_folding_a_batch_arrives(open_bandit, monkeypatch):
    one, other = open_bandit(), open_bandit()
    one.update(rows(n=20, user_id="u"))
    for bandit in (one, other):
        bandit.refresh()
    learner = one.learner
    store, apply = learner.store, learner.store.apply_with_moves
    batch = learner.fresh()
    batch.update(rows("image", 10, user_id="u"))
    dropped = {learner.evidence.unit_rows()[0].key}

    def and_then(act):
        def applied(*args, **kwargs):
            report = apply(*args, **kwargs)
            monkeypatch.setattr(store, "apply_with_moves", apply)
            act()
            return report

        monkeypatch.setattr(store, "apply_with_moves", applied)

    # Another thread of the same process reads the store, whose generation has moved.
    and_then(one.refresh)
    start, end = LogPosition("log", 1), LogPosition("log", 2)
    learner.take_in(batch, log_position=start, expected=LogPosition("log", 0), dropped=dropped)
    other.refresh()
    assert other.delete_user("u", at=NOW) == named(one, "u") == 29
    one.refresh()
    assert named(one, "u") == 0
    # It deletes the user whom the batch at hand names.
    batch = learner.fresh()
    batch.update(rows("video", 10, user_id="v"))
    and_then(lambda: one.delete_user("v", at=NOW))
    learner.take_in(batch, log_position=end, expected=start)
    one.refresh()
    assert named(one, "v") == 0
    assert one.evidence.summary.open_units == open_bandit().evidence.summary.open_units == 39


EVERYTHING = rows(n=40, user_id="u") + rows("image", 40)
acts = st.lists(
    st.tuples(
        st.sampled_from([0, 1]),
        st.sampled_from(["update", "observe", "refresh"]),
        st.integers(0, 7),
    ),
    max_size=14,
)


@given(acts)
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_after_a_refresh_both_know_what_either_wrote_in_any_order(store_url, history):
    name = uuid.uuid4().hex
    bandits = [FusionBandit.open(store_url, ARMS, namespace=name) for _ in range(2)]
    alone = FusionBandit(ARMS)
    for who, act, part in history:
        chosen = EVERYTHING[10 * part : 10 * part + 10]
        match act:
            case "update":
                bandits[who].update(chosen)
                alone.update(chosen)
            case "observe":
                bandits[who].observe(chosen[0], now=NOW)
                alone.observe(chosen[0], now=NOW)
            case _:
                bandits[who].refresh()
    for bandit in bandits:
        bandit.refresh()
        assert bandit.evidence.summary.open_units == alone.evidence.summary.open_units
        for part in "NSF":
            ours, theirs = (getattr(each.evidence.sums(), part) for each in (bandit, alone))
            np.testing.assert_allclose(ours, theirs, rtol=1e-9)
        bandit.learner.store.close()


def test_live_events_without_an_execution_join_the_one_of_their_session_and_query(open_bandit):
    bandit = open_bandit()
    fields = {"session_id": "s", "query_snapshot": {"q": "red shoes"}, "execution_id": None}
    shown = {**row(1, "text"), **fields}
    bandit.observe(shown, now=NOW)
    later = NOW + dt.timedelta(minutes=2)
    bandit.refresh()
    clicked = {**shown, "interaction_type": ["click"], "timestamp": later.isoformat()}
    report = bandit.observe(clicked, now=later)
    assert (report.units_opened, report.units_without_exposure) == (0, 0)
    again = open_bandit()
    assert again.evidence.summary.open_units == 1
    assert again.evidence.sums().S[0, 0] > 0


def test_a_session_moves_wherever_it_is_served(open_bandit):
    one = open_bandit()
    one.update(rows())
    one.observe(row("live", "image", ["impression", "purchase"], session_id="s"), now=NOW)
    request = {"session_id": "s", "now": NOW}
    other = open_bandit()
    assert other.mean(**request)["image"] > other.mean()["image"]
    one.observe(row("more", "image", ["impression", "purchase"], session_id="s"), now=NOW)
    other.refresh()
    one.refresh()
    assert other.explain(**request).session_units == 2
    assert other.mean(**request) == pytest.approx(one.mean(**request), rel=1e-9)


def test_resets_and_deletions_reach_every_process(open_bandit):
    one, other = open_bandit(), open_bandit()
    one.opt_out("early", at=NOW)
    one.update(rows() + rows("image", 60, user_id="u"))
    early = rows("image", 60, user_id="early")
    one.update([{**each, "execution_id": "x" + each["execution_id"]} for each in early])
    other.refresh()
    assert other.explain(user_id="u").level == "user"
    assert other.explain(user_id="early").level == "global"
    assert one.delete_user("u", at=NOW + dt.timedelta(days=1)) == 60
    other.refresh()
    assert one.explain(user_id="u").level == other.explain(user_id="u").level == "global"
    assert other.mean() == pytest.approx(one.mean(), rel=1e-9)


def test_compaction_and_shards_reach_the_store(open_bandit):
    one = open_bandit()
    one.update(rows())
    before = one.mean()
    assert one.compact(NOW + dt.timedelta(days=1)) == 200
    assert one.evidence.summary.open_units == 0
    assert one.mean() == pytest.approx(before, rel=1e-9)
    shard = FusionBandit(ARMS)
    shard.update([{**each, "execution_id": "x" + each["execution_id"]} for each in rows("image")])
    shard.compact(NOW + dt.timedelta(days=1))
    one.merge(shard)
    one.merge(shard)
    other = open_bandit()
    assert other.evidence.summary.closed_units == 400
    assert other.mean() == pytest.approx(one.mean(), rel=1e-9)


def test_channels_are_those_that_each_process_declares(open_bandit):
    one = open_bandit()
    one.update(rows())
    wider = open_bandit([*ARMS, "audio"])
    assert list(wider.mean()) == [*ARMS, "audio"]
    wider.update([row(f"a{i}", "audio") for i in range(20)])
    one.refresh()
    assert list(one.mean()) == ARMS
    assert one.sample(session_id="s").keys() == set(ARMS)
    wider.remove_arm("audio")
    assert list(wider.mean()) == ARMS


def test_a_limit_of_users_holds_for_a_store_that_exists_already(open_bandit):
    """Given, it is that of the store from then on, and at once; not given, the store's stays."""
    first = open_bandit()
    first.update([row(n, "text", user_id=f"u{n}") for n in range(20)])
    first.compact(NOW + dt.timedelta(days=1))
    assert first.evidence.summary.users == 20
    assert open_bandit(max_users=5).evidence.summary.users == 5
    again = open_bandit()
    again.update([{**row(n, "text", user_id=f"v{n}"), "timestamp": LATER} for n in range(9)])
    again.compact(NOW + dt.timedelta(days=3))
    for bandit in (again, open_bandit()):
        assert bandit.evidence.max_users == 5
        assert bandit.evidence.summary.users == 5


def test_a_state_of_another_half_life_is_refused(open_bandit):
    open_bandit().update(rows())
    with pytest.raises(StateMismatchError, match="half_life"):
        open_bandit(half_life=30.0)


def test_where_the_store_is_away_nothing_is_learnt_and_weights_stay(tmp_path):
    url = f"sqlite:///{tmp_path}/folder/fusion.db"
    (tmp_path / "folder").mkdir()
    bandit = FusionBandit.open(url, ARMS, timeout=0.1)
    bandit.update(rows())
    weights = bandit.mean()
    bandit.learner.store.close()
    shutil.move(tmp_path / "folder", tmp_path / "away")
    with pytest.raises(StoreError):
        bandit.update(rows("image"))
    with pytest.raises(StoreError):
        bandit.observe(row("new", "image"), now=NOW)
    with pytest.raises(StoreError):
        bandit.refresh()
    assert bandit.mean() == weights
    shutil.move(tmp_path / "away", tmp_path / "folder")
    assert bandit.update(rows("image")).units_opened == 200
    assert bandit.mean() != weights
