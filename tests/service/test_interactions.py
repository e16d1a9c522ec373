"""Interactions over HTTP: what is sent is stored, answered, found, and deleted."""

import datetime as dt
import itertools
import uuid

import pytest

INTERACTIONS = "/v1/retrievers/interactions"
EXAMPLE = {
    "feature_id": "prod_123",
    "interaction_type": ["positive_feedback", "click", "long_view"],
    "position": 3,
    "metadata": {
        "device": "mobile",
        "duration_ms": 5000,
        "interaction_reason": "not_relevant",
        "page": "search_results",
        "page_number": 1,
        "results_count": 50,
        "search_latency_ms": 150,
        "viewport_position": 0.75,
    },
    "user_id": "customer_user_456",
    "session_id": "sess_abc123",
    "execution_id": "exec_abc123xyz",
    "retriever_id": "ret_abc123",
    "query_snapshot": {"text": "wireless headphones"},
    "document_score": 0.95,
    "result_set_size": 10,
    "feature_uri": "mixpeek://text_extractor@v1/embedding",
}
FIELDS = {*EXAMPLE, "occurred_at", "interaction_id", "deduplicated", "timestamp", "warning"}
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}


def at(path):
    return f"{INTERACTIONS}/{path}"


def test_the_example_comes_back_field_by_field(client):
    before = dt.datetime.now(dt.UTC)
    posted = client.post(EXAMPLE)
    assert posted.status_code == 200
    answer = posted.json()
    for field, value in EXAMPLE.items():
        assert answer[field] == value, field
    assert set(answer) == FIELDS
    assert answer["occurred_at"] is None
    assert answer["deduplicated"] is False
    assert answer["warning"] is None
    moment = dt.datetime.fromisoformat(answer["timestamp"])
    assert before <= moment <= dt.datetime.now(dt.UTC)
    got = client.get(at(answer["interaction_id"]))
    assert got.status_code == 200
    assert got.json() == answer


@pytest.mark.parametrize("left_out", ["metadata", "user_id", "session_id", "document_score"])
def test_a_field_that_was_not_sent_is_answered_as_null(client, left_out):
    row = {name: value for name, value in EXAMPLE.items() if name != left_out}
    answer = client.post(row).json()
    assert set(answer) == FIELDS
    assert answer[left_out] is None
    assert client.get(at(answer["interaction_id"])).json() == answer


def test_document_id_is_another_name_of_feature_id(client):
    row = {**CLICK, "document_id": "other"}
    del row["feature_id"]
    assert client.post(row).json()["feature_id"] == "other"


def test_a_duplicate_is_reported_and_not_stored(client):
    first = client.post(EXAMPLE).json()
    again = client.post(EXAMPLE)
    assert again.status_code == 200
    assert again.json()["deduplicated"] is True
    assert again.json()["interaction_id"] is None
    found = client.post({}, at("list")).json()["items"]
    assert [each["interaction_id"] for each in found] == [first["interaction_id"]]


def test_an_interaction_without_a_channel_is_kept_with_a_warning(client):
    row = {name: value for name, value in EXAMPLE.items() if name != "feature_uri"}
    answer = client.post(row).json()
    assert "feature_uri" in answer["warning"]
    assert client.get(at(answer["interaction_id"])).json() == answer


def test_a_timestamp_is_when_it_happened_or_the_answer_warns(client):
    """Singly and in a batch; what is stored is what is answered."""
    answer = client.post({**CLICK, "timestamp": "2024-03-01T00:00:00Z"}).json()
    assert (answer["occurred_at"], answer["warning"]) == ("2024-03-01T00:00:00Z", None)
    assert client.get(at(answer["interaction_id"])).json() == answer
    for timestamp in ("yesterday", 1709251200, True):
        answer = client.post({**CLICK, "timestamp": timestamp}).json()
        assert answer["occurred_at"] is None
        assert "timestamp (" in answer["warning"]
        assert client.get(at(answer["interaction_id"])).json() == answer
    both = {"occurred_at": "2024-03-02T00:00:00Z", "timestamp": "2024-03-01T00:00:00Z"}
    answer = client.post({**CLICK, **both}).json()
    assert answer["occurred_at"] == both["occurred_at"]
    assert "timestamp (occurred_at is given too, and counts)" in answer["warning"]
    rows = [{**CLICK, "timestamp": f"2024-03-0{day}"} for day in (1, 2)]
    stored = client.post({"interactions": rows}, at("batch")).json()["results"]
    times = [client.get(at(each["interaction_id"])).json()["occurred_at"] for each in stored]
    assert times == ["2024-03-01T00:00:00Z", "2024-03-02T00:00:00Z"]


def test_a_repeat_with_the_same_interaction_id_answers_the_stored_record(client):
    first = client.post({**CLICK, "interaction_id": "mine"}).json()
    assert first["interaction_id"] == "mine"
    repeat = client.post({**CLICK, "position": 7, "interaction_id": "mine"})
    assert repeat.status_code == 200
    assert repeat.json() == first


@pytest.mark.parametrize("by", ["interaction_id", "idempotency-key"])
def test_another_interaction_with_a_known_id_or_key_is_named_and_not_stored(client, by):
    """A sender whose counter has begun anew would lose everything without a word."""

    def send(row):
        if by == "interaction_id":
            return client.post({**row, "interaction_id": "7"}).json()
        return client.post(row, headers={"idempotency-key": "7"}).json()

    row = {**CLICK, "execution_id": "e", "user_id": "u"}
    first = send(row)
    assert send(row) == first
    for other, name in (
        ({"feature_id": "other"}, "feature_id"),
        ({"interaction_type": ["purchase"]}, "interaction_type"),
        ({"execution_id": "f"}, "execution_id"),
        ({"user_id": "v"}, "user_id"),
    ):
        again = send({**row, **other})
        assert name in again["warning"]
        assert {**again, "warning": None} == {**first, "warning": None}
    assert len(client.post({}, f"{INTERACTIONS}/list").json()["items"]) == 1


def test_a_repeat_with_the_same_idempotency_key_answers_the_stored_record(client):
    key = {"idempotency-key": "order 66/a"}
    first = client.post(CLICK, headers=key).json()
    assert client.post({**CLICK, "position": 7}, headers=key).json() == first
    assert client.post(CLICK, headers={"idempotency-key": "b"}).json() != first


def test_the_same_key_or_id_of_another_tenant_is_another_record(client, stranger):
    for headers, row in (({"idempotency-key": "k"}, CLICK), ({}, {**CLICK, "interaction_id": "i"})):
        client.post({**row, "user_id": "mine"}, headers=headers)
        answer = stranger.post({**row, "user_id": "theirs"}, headers=headers).json()
        assert answer["user_id"] == "theirs"


@pytest.mark.parametrize("key", ["", "x" * 256, "caf\xe9".encode("latin-1")])
def test_an_idempotency_key_out_of_its_bounds_is_refused(client, key):
    answer = client.post(CLICK, headers={"idempotency-key": key})
    assert answer.status_code == 422
    assert answer.json()["error"]["details"]["errors"][0]["field"] == "Idempotency-Key"


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"position": -1}, "position"),
        ({"position": 2**31}, "position"),
        ({"position": 10**400}, "position"),
        ({"position": "first"}, "position"),
        ({"interaction_type": []}, "interaction_type"),
        ({"interaction_type": ["clik"]}, "interaction_type"),
        ({"interaction_type": "clik"}, "interaction_type"),
        ({"feature_id": ""}, "feature_id"),
        ({"feature_id": "x" * 1025}, "feature_id"),
        ({"metadata": ["no", "object"]}, "metadata"),
        ({"result_set_size": 0}, "result_set_size"),
        ({"occurred_at": "yesterday"}, "occurred_at"),
        ({"document_score": "high"}, "document_score"),
    ],
)
def test_a_bad_field_is_named_with_the_reason(client, change, field):
    answer = client.post({**CLICK, **change})
    assert answer.status_code == 422
    body = answer.json()
    assert (body["success"], body["status"], body["error"]["type"]) == (
        False,
        422,
        "ValidationError",
    )
    errors = body["error"]["details"]["errors"]
    assert [each["field"] for each in errors] == [field]
    assert errors[0]["reason"]
    assert client.post({}, at("list")).json()["items"] == []


def test_an_unknown_id_is_404(client):
    answer = client.get(at(str(uuid.uuid4())))
    assert answer.status_code == 404
    assert answer.json()["error"]["type"] == "NotFound"


def test_deleting_twice_is_deleting_once(client):
    kept = client.post(CLICK).json()["interaction_id"]
    first, second = client.delete(at(kept)), client.delete(at(kept))
    assert first.json() == {"success": True, "interaction_id": kept, "deleted": True}
    assert second.json() == {"success": True, "interaction_id": kept, "deleted": False}
    assert client.get(at(kept)).status_code == 404


@pytest.mark.parametrize(
    "name",
    ["a/b", "..", ".", "../../etc/passwd", "a b", "%2F", "%00", "ü", "'; DROP TABLE x", "?#"],
)
def test_any_id_finds_its_own_record_and_nothing_else(client, name):
    from urllib.parse import quote

    client.post({**CLICK, "interaction_id": name})
    path = at(quote(name, safe="").replace(".", "%2E"))
    assert client.get(path).json()["interaction_id"] == name
    assert client.delete(path).json() == {"success": True, "interaction_id": name, "deleted": True}
    assert client.get(path).status_code == 404


@pytest.mark.parametrize(
    ("path", "status"), [("%00", 422), ("%0a", 422), ("%ff", 422), ("a" * 1025, 422), ("a/b", 404)]
)
def test_an_id_that_no_record_can_have_is_refused(client, path, status):
    assert client.get(at(path)).status_code == status


def test_a_batch_tells_what_became_of_every_row(client):
    client.post({**CLICK, "interaction_id": "there"})
    rows = [
        {**CLICK, "execution_id": "e"},
        {**CLICK, "execution_id": "e"},
        {**CLICK, "position": -1},
        {**CLICK, "interaction_id": "there"},
        {**CLICK, "interaction_id": "mine", "occurred_at": "2026-01-02T03:04:05Z"},
    ]
    answer = client.post({"interactions": rows}, at("batch"))
    assert answer.status_code == 200
    body = answer.json()
    counts = {name: body[name] for name in ("created", "deduplicated", "existing", "failed")}
    assert counts == {"created": 2, "deduplicated": 1, "existing": 1, "failed": 1}
    assert len(body["errors"]) == 1
    assert "position" in body["errors"][0]
    results = body["results"]
    assert [each["index"] for each in results] == [0, 1, 2, 3, 4]
    statuses = ["created", "deduplicated", "failed", "existing", "created"]
    assert [each["status"] for each in results] == statuses
    kept = results[0]["interaction_id"]
    ids = [each["interaction_id"] for each in results]
    assert ids == [kept, kept, "", "there", "mine"]
    assert client.get(at("mine")).json()["occurred_at"].startswith("2026-01-02T03:04:05")


def test_a_batch_without_failures_has_no_errors(client):
    assert client.post({"interactions": [CLICK]}, at("batch")).json()["errors"] is None


@pytest.mark.parametrize("body", [{"interactions": []}, {"interactions": [CLICK] * 1001}, {}, []])
def test_a_batch_holds_1_to_1000_rows(client, body):
    assert client.post(body, at("batch")).status_code == 422


def test_rows_after_a_bad_one_are_stored_and_the_largest_batch_is_taken(client):
    rows = [{**CLICK, "feature_id": f"d{i}"} for i in range(999)]
    body = client.post({"interactions": [None, *rows]}, at("batch")).json()
    assert (body["created"], body["failed"]) == (999, 1)


def test_large_rows_end_a_page_early_and_are_not_numbered(client):
    """A numbered page that ends early would hide the rows before the next number."""
    for number in range(10):
        client.post({**CLICK, "feature_id": f"d{number}", "query_snapshot": "x" * 900_000})
    page = client.post({}, at("list?limit=10")).json()
    assert len(page["items"]) == 9
    assert page["pagination"]["next_page"] is None
    rest = client.post({}, at(f"list?limit=10&cursor={page['pagination']['next_cursor']}")).json()
    assert [each["feature_id"] for each in rest["items"]] == ["d0"]
    for query in ("page=1&page_size=10", "offset=0&limit=10"):
        assert client.post({}, at(f"list?{query}")).status_code == 422


def test_pages_and_cursors_visit_every_interaction_once(client):
    rows = [{**CLICK, "feature_id": f"d{i}", "user_id": f"u{i % 2}"} for i in range(25)]
    for row in rows:
        client.post(row)
    pages = [client.post({}, at(f"list?page={n}&page_size=10")).json() for n in (1, 2, 3)]
    assert [len(page["items"]) for page in pages] == [10, 10, 5]
    assert all(page["items"] == page["results"] for page in pages)
    places = [page["pagination"] for page in pages]
    assert [place["next_page"] for place in places] == ["2", "3", None]
    assert [place["previous_page"] for place in places] == [None, "1", "2"]
    by_page = [each["feature_id"] for page in pages for each in page["items"]]
    assert by_page == [f"d{i}" for i in reversed(range(25))]
    by_cursor, cursor = [], None
    for _ in range(3):
        query = "limit=10" + ("" if cursor is None else f"&cursor={cursor}")
        page = client.post({}, at(f"list?{query}")).json()
        by_cursor += [each["feature_id"] for each in page["items"]]
        cursor = page["pagination"]["next_cursor"]
    assert cursor is None
    assert by_cursor == by_page


def test_the_total_is_counted_where_it_is_asked_for(client):
    for i in range(5):
        client.post({**CLICK, "feature_id": f"d{i}"})
    place = client.post({}, at("list?limit=2&include_total=true")).json()["pagination"]
    assert (place["total"], place["total_pages"], place["page"]) == (5, 3, 1)
    assert client.post({}, at("list?limit=2")).json()["pagination"]["total"] is None


def test_filters_and_sort_find_what_they_say(client):
    for i, (user, kind) in enumerate(itertools.product("ab", ["click", "view"])):
        client.post(
            {
                **CLICK,
                "feature_id": f"d{i}",
                "user_id": user,
                "interaction_type": [kind],
                "position": i,
            }
        )

    def found(**body):
        items = client.post(body, at("list")).json()["items"]
        return [each["feature_id"] for each in items]

    oldest = {"field": "timestamp", "direction": "asc"}
    assert found(user_id="a", sort=oldest) == ["d0", "d1"]
    assert found(interaction_type="view", sort=oldest) == ["d1", "d3"]
    assert found(user_id="a", interaction_type="view") == ["d1"]
    low = {"AND": [{"field": "position", "operator": "gte", "value": 2}]}
    assert found(filters=low, sort=oldest) == ["d2", "d3"]
    assert found(filters=low, user_id="a") == []
    assert found(sort={"field": "position", "direction": "desc"}) == ["d3", "d2", "d1", "d0"]


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=1001",
        "limit=ten",
        "page=0",
        "page=102",
        "offset=10001",
        "page=2&offset=5",
        "limit=1&page_size=2",
        "limit=1&limit=2",
        "cursor=x",
        "include_total=perhaps",
        "limit=" + "9" * 400,
        "cursor=%ff",
        "&".join(f"a{i}=1" for i in range(100)),
    ],
)
def test_a_bad_query_is_refused_by_name(client, query):
    assert client.post({}, at(f"list?{query}")).status_code == 422


@pytest.mark.parametrize(
    "body",
    [
        {"sort": {"field": "rowid"}},
        {"filters": {"field": "sqlite_master", "operator": "eq", "value": 1}},
        {"filters": {"AND": [{"field": "position", "operator": "regex", "value": "."}]}},
        {"search": "words"},
        {"nonsense": 1},
        {"user_id": 7},
        [],
    ],
)
def test_a_bad_search_is_refused(client, body):
    assert client.post(body, at("list")).status_code == 422


def test_a_cursor_of_another_tenant_is_refused(client, stranger):
    for each in (client, stranger):
        for i in range(3):
            each.post({**CLICK, "feature_id": f"d{i}"})
    cursor = client.post({}, at("list?limit=1")).json()["pagination"]["next_cursor"]
    assert stranger.post({}, at(f"list?limit=1&cursor={cursor}")).status_code == 422


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"é\u2028": [1e300, -0.0, 2**63, None, {"deep": "\\u0000\n"}]}},
        {"metadata": {}, "query_snapshot": []},
        {"query_snapshot": '{"text": "not to be read"}'},
        {"query_snapshot": {"text": "two  blanks", "1": 1.0}},
        {"interaction_type": ["view", "click", "view"], "feature_id": 17},
        {"unknown": 1, "feature_uri": None},
        {"occurred_at": "2026-01-02T03:04:05.678901+02:00"},
        {"occurred_at": "2999-01-01T00:00:00Z"},
    ],
)
def test_the_answer_to_a_new_record_is_the_stored_record_byte_for_byte(client, change):
    answer = client.post({**CLICK, **change})
    assert answer.status_code == 200
    stored = client.get(f"{INTERACTIONS}/{answer.json()['interaction_id']}")
    assert stored.content == answer.content
