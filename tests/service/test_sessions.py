"""A session's interactions move its own weights before they are answered; backfills do not."""

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest

INTERACTIONS = "/v1/retrievers/interactions"
BASE = "/v1/retrievers/r/learned-fusion"


def event(kind, channel, number, **more):
    """A document that was shown, and what happened then: a click alone would be no exposure."""
    return {
        "feature_id": f"d{number}",
        "interaction_type": list({"impression", kind}),
        "position": 0,
        "execution_id": f"e{number}",
        "retriever_id": "r",
        "feature_uri": channel,
        **more,
    }


@pytest.fixture
def learnt(client, wait_until):
    """A service that has learnt of two channels from 40 executions."""
    client.post({"feature_uris": ["text", "image"], "min_lists": 0}, f"{BASE}/enable")
    rows = [
        event(kind, channel, f"{channel}{number}")
        for number in range(20)
        for channel in ("text", "image")
        for kind in ("impression", *(["click"] if number % 4 == 0 else []))
    ]
    client.post({"interactions": rows}, f"{INTERACTIONS}/batch")
    wait_until(lambda: weights(client, "unknown")["fallback"] is None and lag(client) == 0)
    return client


@contextmanager
def learning_held_up(retriever):
    """Keep a retriever from learning, as a long fold does; it may be learning just now."""
    while True:
        with retriever.try_lock() as free:
            if free:
                yield
                return
        time.sleep(0.01)


def weights(client, session):
    return client.get(f"{BASE}/weights/u", params={"session_id": session}).json()


def lag(client):
    return client.get(f"{BASE}/stats").json()["lag"]


def test_a_click_moves_its_sessions_weights_before_it_is_answered(learnt):
    before = weights(learnt, "mine")
    assert before["fallback"] is None
    for number in range(3):
        row = event("click", "image", f"x{number}", session_id="mine", user_id="u")
        assert learnt.post(row).status_code == 200
    after = weights(learnt, "mine")
    assert after["weights"]["image"] > before["weights"]["image"] + 0.01
    assert sum(after["weights"].values()) == pytest.approx(1.0)


def test_a_backfill_moves_no_sessions_weights(learnt):
    past = "2026-01-02T03:04:05Z"
    before = weights(learnt, "mine")
    for number in range(3):
        row = event("click", "image", f"x{number}", session_id="mine", occurred_at=past)
        assert learnt.post(row).status_code == 200
    same = event("click", "image", "x9", session_id="mine")
    assert learnt.post({"interactions": [same]}, f"{INTERACTIONS}/batch").status_code == 200
    after = weights(learnt, "mine")
    live = event("click", "image", "y", session_id="mine")
    assert learnt.post(live).status_code == 200
    moved = weights(learnt, "mine")["weights"]["image"] - after["weights"]["image"]
    assert abs(after["weights"]["image"] - before["weights"]["image"]) < moved


def test_an_undeclared_channel_is_kept_and_makes_no_arm(learnt):
    answer = learnt.post(event("click", "sound", "z", session_id="mine"))
    assert answer.status_code == 200
    assert learnt.get(f"{INTERACTIONS}/{answer.json()['interaction_id']}").status_code == 200
    assert set(weights(learnt, "mine")["weights"]) == {"text", "image"}


def test_an_event_waits_for_the_bandit_that_learns_and_nobody_else_does(serve_with):
    client = serve_with()
    client.post({"feature_uris": ["text", "image"], "min_lists": 0}, f"{BASE}/enable")
    retriever = client.service.retrievers.get("shop", "r")
    retriever.statistics()  # opens the state: before that there is no bandit to wait for
    row = event("click", "image", "x", session_id="mine")
    with ThreadPoolExecutor(1) as pool, learning_held_up(retriever):
        answer = pool.submit(client.post, row)
        while not client.service.log.last_row:
            time.sleep(0.01)
        assert client.get("/healthz").status_code == 200
        assert client.service.limits.requests == 1, "answered before its session has moved"
        assert not answer.done()
    assert answer.result(30).status_code == 200
