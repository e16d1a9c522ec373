"""What a running service has recorded, read back over HTTP into another log: nothing changes."""

import json
import subprocess
import sys

import pytest

from rankloom.datasets import InteractionLog, MixpeekSource, load_pairs
from rankloom.errors import StoreError

FIELDS = (
    *("feature_id", "interaction_type", "position", "metadata", "user_id", "session_id"),
    *("execution_id", "retriever_id", "query_snapshot", "document_score", "result_set_size"),
    *("feature_uri", "interaction_id"),
)


def row(number, **more):
    return {
        "feature_id": f"prod_{number}",
        "interaction_type": ["impression"] if number % 3 else ["click", "long_view"],
        "position": number % 10,
        "metadata": {"device": "mobile", "viewport_position": 0.75, "n": number},
        "user_id": f"u{number % 5}",
        "session_id": f"s{number // 10}",
        "execution_id": f"e{number // 10}",
        "retriever_id": "ret_a" if number < 40 else "ret_b",
        "query_snapshot": {"text": "wireless headphones", "filters": {"n": [number]}},
        "document_score": 0.95,
        "result_set_size": 10,
        "feature_uri": "mixpeek://text_extractor@v1/embedding",
        **more,
    }


@pytest.fixture
def recorded(client):
    """All records of a service, as it lists them: some live, some of earlier times, some odd."""
    rows = [row(number) for number in range(60)]
    rows[7]["occurred_at"] = "2025-12-24T18:00:00.123456Z"
    rows[11]["query_snapshot"] = None
    rows[12]["metadata"] = None
    for name in ("user_id", "session_id", "execution_id", "feature_uri", "document_score"):
        del rows[13][name]
    live, backfill = rows[:15], rows[15:]
    for one in live:
        assert client.post(one).status_code == 200
    answer = client.post({"interactions": backfill}, "/v1/retrievers/interactions/batch")
    assert answer.json()["created"] == len(backfill)
    query = {"limit": 1000, "include_total": "true"}
    listed = client.post({}, "/v1/retrievers/interactions/list", params=query).json()
    assert listed["pagination"]["total"] == len(rows) == len(listed["results"])
    return listed["results"]


@pytest.fixture
def source_of(client, monkeypatch):
    """A function that makes a source with a reader's token."""
    monkeypatch.setenv("MIXPEEK_API_KEY", client.tokens.of["read"])
    namespace = client.tokens.namespace

    def source_of(**settings):
        given = {"namespace": namespace, "requests_per_second": 1000, **settings}
        return MixpeekSource(client.url, **given)

    return source_of


def time_of(listed):
    return (listed["occurred_at"] or listed["timestamp"]).replace("Z", "+00:00")


def assert_same(log, records):
    for listed in records:
        held = log.get(listed["interaction_id"])
        assert {name: getattr(held, name) for name in FIELDS} == {n: listed[n] for n in FIELDS}
        assert held.occurred_at.isoformat() == time_of(listed)
    assert sum(frame.height for frame in log.scan()) == len(records)


@pytest.mark.parametrize("page_size", [7, 60, 1000])
def test_a_service_copied_into_another_log_is_the_same_field_by_field(
    recorded, source_of, tmp_path, page_size
):
    with InteractionLog(f"sqlite:///{tmp_path}/copy.db") as log:
        report = source_of(page_size=page_size).copy_to_log(log)
        assert (report.rows_read, report.created) == (60, 60)
        assert_same(log, recorded)
        again = source_of(page_size=page_size).copy_to_log(log)
        assert (again.created, again.existing) == (0, 60)


def test_a_retriever_and_a_time_narrow_what_is_copied(recorded, source_of, tmp_path):
    ordered = sorted(recorded, key=lambda listed: listed["timestamp"])
    since = ordered[10]["timestamp"]
    expected = [
        listed
        for listed in ordered
        if listed["retriever_id"] == "ret_a" and listed["timestamp"] >= since
    ]
    assert 0 < len(expected) < 40
    with InteractionLog(f"sqlite:///{tmp_path}/copy.db") as log:
        source_of(retriever_id="ret_a", since=since, page_size=9).copy_to_log(log)
        assert_same(log, expected)


def test_a_later_run_takes_what_was_recorded_since(recorded, client, source_of, tmp_path):
    with InteractionLog(f"sqlite:///{tmp_path}/copy.db") as log:
        resume = tmp_path / "copy.json"
        source_of(page_size=25).copy_to_log(log, resume=resume)
        new = [client.post(row(number)).json() for number in range(100, 105)]
        report = source_of(page_size=2).copy_to_log(log, resume=resume)
        assert (report.rows_read, report.created) == (5, 5)
        assert_same(log, [*recorded, *new])


def test_a_service_gives_the_pairs_of_its_own_records(recorded, source_of):
    read, expected = load_pairs(source_of(page_size=13)), load_pairs(recorded)
    assert read.y.tolist() == expected.y.tolist()
    assert read.document_id.to_list() == expected.document_id.to_list()
    assert read.time.tolist() == expected.time.tolist()


def test_another_namespace_or_role_is_refused_in_words(client, source_of, stranger, monkeypatch):
    with pytest.raises(StoreError, match="answered 403"):
        list(source_of(namespace=stranger.tokens.namespace).pages())
    monkeypatch.setenv("MIXPEEK_API_KEY", client.tokens.of["ingest"])
    with pytest.raises(StoreError, match="answered 403"):
        list(MixpeekSource(client.url).pages())


def test_the_command_copies_a_service(recorded, client, source_of, tmp_path):
    """As a process of its own, with the token in its environment only."""
    assert source_of
    command = [sys.executable, "-m", "rankloom", "import", "mixpeek", client.url]
    options = ["--log", f"sqlite:///{tmp_path}/copy.db", "--json"]
    done = subprocess.run([*command, *options], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["interactions"]["created"] == 60
    with InteractionLog(f"sqlite:///{tmp_path}/copy.db") as log:
        assert_same(log, recorded)
