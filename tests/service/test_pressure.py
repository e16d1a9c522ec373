"""More than the service can take at once: 503 or 429, and nothing lost that was acknowledged."""

import concurrent.futures
import sqlite3
import threading

from rankloom import InteractionLog
from rankloom.service.http.live_events import LiveEvents
from rankloom.service.learning.retriever import LearningRetriever

INTERACTIONS = "/v1/retrievers/interactions"
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}
JSON = {"content-type": "application/json"}
PATIENCE = 60.0
"""Seconds after which what has to come does not come."""


def test_a_locked_log_is_503_and_what_was_not_acknowledged_is_not_stored(
    serve_with, tmp_path, wait_until
):
    client = serve_with(request_seconds=1.0)

    def is_stored(name):
        """A machine that stands still may let the second pass; the row is sent again then."""
        answer = client.post({**CLICK, "interaction_id": name})
        return answer.status_code == 200 and answer.json()["interaction_id"] == name

    wait_until(lambda: is_stored("early"))
    other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    try:
        other.execute("BEGIN IMMEDIATE")
        answer = client.post({**CLICK, "interaction_id": "late"})
        assert answer.status_code == 503
        assert "retry-after" in answer.headers
        assert str(tmp_path) not in answer.text
    finally:
        other.execute("ROLLBACK")
        other.close()
    wait_until(lambda: is_stored("late"))


def test_a_full_queue_is_503_and_every_acknowledged_row_is_there(serve_with, monkeypatch):
    from rankloom.datasets.log import writer

    monkeypatch.setattr(writer, "MAX_ROWS", 600)
    client = serve_with(max_requests=64)
    batch = {"interactions": [CLICK] * 500}
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.post(batch, f"{INTERACTIONS}/batch"), range(60)))
    statuses = {answer.status_code for answer in answers}
    assert statuses <= {200, 503}
    created = sum(answer.json().get("created", 0) for answer in answers)
    page = client.post({}, f"{INTERACTIONS}/list?limit=1&include_total=true").json()
    assert page["pagination"]["total"] == created


def test_long_searches_keep_nobody_else_from_reading(serve_with, monkeypatch):
    """However many searches take their time, a record is read meanwhile."""
    client = serve_with(request_seconds=4 * PATIENCE)
    stored = client.post(CLICK).json()["interaction_id"]
    find, begun, ended = InteractionLog.find, threading.Semaphore(0), threading.Event()

    def long_find(*arguments, **options):
        begun.release()
        assert ended.wait(2 * PATIENCE)
        return find(*arguments, **options)

    monkeypatch.setattr(InteractionLog, "find", long_find)
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        try:
            searches = [
                pool.submit(client.post, {}, f"{INTERACTIONS}/list", timeout=4 * PATIENCE)
                for _ in range(8)
            ]
            assert begun.acquire(timeout=PATIENCE)
            found = client.get(f"{INTERACTIONS}/{stored}", timeout=PATIENCE)
            assert found.status_code == 200
        finally:
            ended.set()
    assert [each.result().status_code for each in searches] == [200] * 8


def test_what_is_stored_is_acknowledged_whatever_becomes_of_its_session(
    serve_with, monkeypatch, caplog
):
    """The log says that something went wrong, and nothing of what was sent."""
    client = serve_with()
    fusion = "/v1/retrievers/r/learned-fusion"
    assert (
        client.post({"feature_uris": ["text"], "min_lists": 0}, f"{fusion}/enable").status_code
        == 200
    )

    def observe(_retriever, interaction):
        raise ZeroDivisionError(interaction.user_id)

    monkeypatch.setattr(LearningRetriever, "observe", observe)
    row = {**CLICK, "retriever_id": "r", "session_id": "s", "user_id": "u-secret"}
    for own in ({"execution_id": "e"}, {"query_snapshot": "q"}):
        answer = client.post({**row, **own})
        assert answer.status_code == 200
        stored = answer.json()["interaction_id"]
        assert client.get(f"{INTERACTIONS}/{stored}").status_code == 200
    assert caplog.text.count("ZeroDivisionError") == 2
    assert "u-secret" not in caplog.text


def test_a_user_who_sends_too_many_live_events_is_429(serve_with):
    client = serve_with(live_events_per_minute=3)
    row = {**CLICK, "user_id": "eager"}
    assert [client.post(row).status_code for _ in range(4)] == [200, 200, 200, 429]
    refused = client.post(row)
    assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert client.post({**row, "user_id": "other"}).status_code == 200
    past = {**row, "occurred_at": "2026-01-01T00:00:00Z"}
    assert client.post(past).status_code == 200


def test_counting_live_events_takes_no_more_memory_with_more_users():
    events = LiveEvents(2, users=100)
    for number in range(10_000):
        assert events.wait("shop", f"user {number}") == 0.0
    assert len(events._windows) == 100


def test_minutes_that_are_over_take_no_memory():
    events = LiveEvents(2)
    for number in range(1_000):
        assert events.wait("shop", f"user {number}", now=float(number)) == 0.0
    assert len(events._windows) <= 61


def test_tenants_with_the_same_user_do_not_slow_each_other():
    events = LiveEvents(1)
    assert events.wait("a", "ann", now=0.0) == 0.0
    assert events.wait("b", "ann", now=0.0) == 0.0
    assert events.wait("a", "ann", now=1.0) == 59.0


def test_an_unexpected_error_is_500_and_quotes_nothing_of_the_request(
    serve_with, monkeypatch, caplog
):
    client = serve_with()

    def broken(namespace):
        raise RuntimeError(CLICK["feature_uri"] + "-quoted " + namespace)

    monkeypatch.setattr(client.service, "view", broken)
    answer = client.post(CLICK, headers={"x-request-id": "trace-9"})
    assert answer.status_code == 500
    assert "trace-9" in answer.json()["error"]["message"]
    assert not any(word in answer.text for word in ("Traceback", ".py", "RuntimeError", "quoted"))
    logged = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    assert len(logged) == 1
    assert "trace-9: RuntimeError" in logged[0]
    assert "broken" in logged[0]
    assert "shop" not in logged[0]
