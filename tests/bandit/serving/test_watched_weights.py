"""Services get whole snapshots, the last good one on failure, and one warning per failure."""

import datetime as dt
import gc
import logging
import math
import os
import subprocess
import sys
import time
import weakref

import pytest

from rankloom.bandit import FusionBandit, FusionWeights
from rankloom.bandit.store.opening import open_store
from rankloom.errors import InvalidInputError

ARMS = ["text", "image"]
EQUAL = {"text": 0.5, "image": 0.5}
NOW = dt.datetime(2026, 1, 31, 12, tzinfo=dt.UTC)


def row(n, arm, types=("impression",), at=NOW, **fields):
    return {
        "execution_id": f"e{n}",
        "feature_id": f"d{n}",
        "interaction_type": list(types),
        "position": 0,
        "feature_uri": arm,
        "timestamp": at.isoformat(),
        **fields,
    }


def rows(good, n=200, **fields):
    """The good channel is clicked twice as often."""
    made = []
    for i in range(n):
        clicked = i // 2 % (3 if ARMS[i % 2] == good else 6) == 0
        types = ["impression", "click"] if clicked else ["impression"]
        made.append(row(f"{good}{i}", ARMS[i % 2], types, **fields))
    return made


def snapshot(good, **options):
    bandit = FusionBandit(ARMS, **options)
    bandit.update(rows(good))
    return bandit.snapshot()


def wait_for(condition, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def warnings_in(caplog):
    return [each for each in caplog.records if each.levelno >= logging.WARNING]


def test_a_replaced_file_is_served_soon_and_swapped_whole(tmp_path):
    path, swapped = tmp_path / "w.json", []
    snapshot("text").save(path)
    with FusionWeights.watch(path, ARMS, every=0.02, on_swap=swapped.append) as weights:
        first = weights.current
        assert weights.mean() == first.mean()
        assert weights.sample(session_id="s") == first.sample(session_id="s")
        snapshot("image").save(path)
        assert wait_for(lambda: weights.current is not first)
        assert weights.mean()["image"] > 0.5 > first.mean()["image"]
    assert [each.snapshot_id for each in swapped] == [
        first.snapshot_id,
        weights.current.snapshot_id,
    ]


def test_a_damaged_file_leaves_the_last_good_value_and_is_logged_once(tmp_path, caplog):
    path = tmp_path / "w.json"
    good = snapshot("text")
    good.save(path)
    with (
        caplog.at_level(logging.INFO, "rankloom"),
        FusionWeights.watch(path, ARMS, every=600) as weights,
    ):
        assert weights.refresh()
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
        assert [weights.refresh() for _ in range(5)] == [False] * 5
        assert weights.mean() == good.mean()
        assert len(warnings_in(caplog)) == 1
        assert "does not match its digest" in caplog.text
        assert f"snapshot {good.snapshot_id} stays" in caplog.text
        path.unlink()
        assert not weights.refresh()
        assert len(warnings_in(caplog)) == 1
        snapshot("image").save(path)
        assert weights.refresh()
        assert "loads again" in caplog.text
        path.write_text("{}", encoding="ascii")
        assert not weights.refresh()
        assert len(warnings_in(caplog)) == 2


def test_where_nothing_was_ever_loaded_weights_are_equal_and_that_is_logged_once(tmp_path, caplog):
    path = tmp_path / "w.json"
    with FusionWeights.watch(path, ARMS, every=600) as weights:
        served = [weights.sample(user_id=f"u{i}") for i in range(10)]
        assert served == [EQUAL] * 10
        assert {(each.policy, each.snapshot_id) for each in served} == {("fallback", None)}
        assert weights.mean() == EQUAL
        assert not weights.refresh()
        assert len(warnings_in(caplog)) == 1
        assert "weights are equal until one loads" in caplog.text
        snapshot("text").save(path)
        assert weights.refresh()
        assert weights.sample(user_id="u").policy == "learned"


def test_a_snapshot_of_other_channels_is_refused_until_the_right_one_comes(tmp_path, caplog):
    path = tmp_path / "w.json"
    snapshot("text").save(path)
    with FusionWeights.watch(path, [*ARMS, "video"], every=600) as weights:
        assert not weights.refresh()
        assert weights.current is None
        assert "this service fuses ['image', 'text', 'video']" in caplog.text


def test_closing_ends_the_thread_and_keeps_the_weights(tmp_path):
    snapshot("text").save(tmp_path / "w.json")
    weights = FusionWeights.watch(tmp_path / "w.json", ARMS, every=0.01)
    thread = weights._thread
    assert thread.is_alive()
    weights.close()
    weights.close()
    assert wait_for(lambda: not thread.is_alive())
    assert weights.mean()["text"] > 0.5


def test_weights_that_are_dropped_leave_no_thread_behind(tmp_path):
    snapshot("text").save(tmp_path / "w.json")
    weights = FusionWeights.watch(tmp_path / "w.json", ARMS, every=600)
    gone, thread = weakref.ref(weights), weights._thread
    assert thread.is_alive()
    del weights
    gc.collect()
    assert gone() is None
    assert wait_for(lambda: not thread.is_alive())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_goes_on_refreshing(tmp_path):
    """Servers that load the application and then fork would else serve old weights for ever."""
    path = tmp_path / "w.json"
    snapshot("text").save(path)
    snapshot("image").save(tmp_path / "new.json")
    code = f"""if True:
        import os, sys, time, warnings
        warnings.simplefilter("ignore")
        from rankloom.bandit import FusionWeights
        weights = FusionWeights.watch({str(path)!r}, {ARMS!r}, every=0.02)
        assert weights.mean()["text"] > 0.5
        child = os.fork()
        if child:
            sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        os.replace({str(tmp_path / "new.json")!r}, {str(path)!r})
        end = time.monotonic() + 120
        while weights.mean()["image"] < 0.5 and time.monotonic() < end:
            time.sleep(0.01)
        os._exit(0 if weights.mean()["image"] > 0.5 else 1)
    """
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("options", "match"),
    [({"every": 0}, "every: expected"), ({"source": 7}, "source: expected a file's path")],
)
def test_settings_that_make_no_sense_are_refused(options, match):
    with pytest.raises(InvalidInputError, match=match):
        FusionWeights.watch(**{"source": "w.json", "feature_uris": ARMS, **options})


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/fusion.db"


def test_a_bandit_publishes_and_a_service_over_the_store_sees_users_and_sessions(url):
    bandit = FusionBandit.open(url, ARMS)
    bandit.update(rows("text") + rows("image", 60, user_id="u"))
    bandit.publish()
    with FusionWeights.watch(open_store(url), ARMS, every=600) as weights:
        assert weights.mean() == bandit.mean()
        assert weights.mean(user_id="u") == pytest.approx(bandit.mean(user_id="u"), rel=1e-9)
        assert weights.mean(user_id="u")["image"] > weights.mean()["image"]
        request = {"user_id": "u", "session_id": "s", "now": NOW}
        before = weights.sample(**request)
        live = row("live", "text", ["impression", "purchase"], session_id="s", user_id="u")
        bandit.observe(live, now=NOW)
        after = weights.sample(**request)
        assert after["text"] > before["text"]
        assert after == pytest.approx(bandit.sample(**request), rel=1e-6)
        assert after.snapshot_id == before.snapshot_id
    with FusionWeights.watch(open_store(url), ARMS, every=600, personal=False) as weights:
        assert weights.mean(user_id="u") == weights.mean()


def test_a_store_without_a_snapshot_is_equal_weights_logged_once(url, caplog):
    FusionBandit.open(url, ARMS).update(rows("text"))
    with FusionWeights.watch(open_store(url), ARMS, every=600) as weights:
        assert weights.sample() == EQUAL
        assert not weights.refresh()
    assert len(warnings_in(caplog)) == 1
    assert "no snapshot was published yet" in caplog.text


def test_a_store_that_goes_away_leaves_the_last_good_weights_without_users(url, tmp_path, caplog):
    bandit = FusionBandit.open(url, ARMS)
    bandit.update(rows("text") + rows("image", 60, user_id="u"))
    bandit.publish()
    store = open_store(url, timeout=0.1)
    with FusionWeights.watch(store, ARMS, every=600) as weights:
        everybody, own = weights.mean(), weights.mean(user_id="u")
        assert own != everybody
        store.close()
        for file in tmp_path.glob("fusion.db*"):
            file.rename(file.with_name("away-" + file.name))
        (tmp_path / "fusion.db").mkdir()
        for _ in range(5):
            served = weights.sample(user_id="u")
            assert math.fsum(served.values()) == pytest.approx(1.0)
            assert weights.mean(user_id="u") == everybody
            assert not weights.refresh()
        assert len(warnings_in(caplog)) == 1
        (tmp_path / "fusion.db").rmdir()
        for file in tmp_path.glob("away-*"):
            file.rename(file.with_name(file.name.removeprefix("away-")))
        assert weights.refresh()
        assert weights.mean(user_id="u") == own


def test_only_a_bandit_over_a_store_publishes():
    bandit = FusionBandit(ARMS)
    bandit.update(rows("text"))
    with pytest.raises(InvalidInputError, match="store: got None"):
        bandit.publish()
