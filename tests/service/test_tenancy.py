"""A second tenant sends the first one's ids to every route: gets and changes nothing of theirs."""

import httpx
import pytest

from rankloom.service.api.routes import ALL
from rankloom.service.http.roles import Role

ARMS = ["text", "image"]
INTERACTIONS = "/v1/retrievers/interactions"
FUSION = "/v1/retrievers/{retriever_id}/learned-fusion"
MARK = "of-the-first"
"""Stands in whatever the first tenant recorded and the second one does not send."""

LOGGED = {"feature_id": "d", "interaction_type": ["impression", "click"], "retriever_id": "r"}
DOCUMENTS = [{"feature_id": "d", "document_score": 0.5, "features": {}}]
CREATING = {
    ("POST", INTERACTIONS),
    ("POST", INTERACTIONS + "/batch"),
    ("POST", FUSION + "/enable"),
}
"""What makes something of the second tenant's own, whatever the first one has."""

LAST = {*CREATING, ("POST", "/ui/logout")}

NOTHING_DELETED = ("DELETE", INTERACTIONS + "/{interaction_id}")


@pytest.fixture(params=["sqlite", "postgresql"])
def stores(request):
    """Settings of log and state; requested before the service, so that it ends before they go."""
    if request.param == "sqlite":
        return {}
    url = request.getfixturevalue("postgres_url")
    return {"log": url, "state": url}


@pytest.fixture
def service(stores, serve_with):
    return serve_with(publish_every=1.0, **stores)


@pytest.fixture
def stranger(service, tmp_path, wait_until):
    """Headers by role, and the pages' cookie, of a second tenant."""
    tokens = type(service.tokens).added(tmp_path / "tokens", "stranger")
    with httpx.Client(base_url=service.url, timeout=120) as http:
        given = {"token": tokens.of["admin"]}  # counts once the service has read the file again
        wait_until(lambda: http.post("/ui/login", data=given).status_code == 303)
        yield http, tokens


@pytest.fixture
def first(service, wait_until):
    """What the first tenant has: the values of the routes' ids, and a function that reads it."""
    fusion = FUSION.replace("{retriever_id}", "r")
    assert (
        service.post({"feature_uris": ARMS, "min_lists": 0}, f"{fusion}/enable").status_code == 200
    )
    rows = [
        {
            **LOGGED,
            "feature_id": f"document-{MARK}-{n}",
            "feature_uri": ARMS[n % 2],
            "position": n,
            "user_id": "u",
            "execution_id": f"execution-{MARK}",
            "metadata": {"note": MARK},
        }
        for n in range(6)
    ]
    names = [service.post(row).json()["interaction_id"] for row in rows]
    assert service.post({"rollout_pct": 50.0}, f"{fusion}/rollout").status_code == 200
    assert service.send("POST", f"{fusion}/opt-out/other").status_code == 200
    wait_until(lambda: service.get(f"{fusion}/stats").json()["lag"] == 0)
    wait_until(lambda: service.get(f"{fusion}/history").json()["snapshots"])

    def read():
        items = service.post({}, f"{INTERACTIONS}/list").json()["items"]
        # Weights move by themselves while the service renews what it has learnt.
        changes = service.get(f"{fusion}/changes").json()
        return items, changes, service.get(f"{fusion}/stats").json()["settings"]

    snapshot = service.get(f"{fusion}/history").json()["snapshots"][0]["snapshot_id"]
    ids = {"interaction_id": names[0], "retriever_id": "r", "user_id": "u", "snapshot": snapshot}
    return ids, read


def bodies(ids):
    """What the second tenant sends to routes that read a body."""
    own = {**LOGGED, "position": 0, "interaction_id": ids["interaction_id"], "user_id": "u"}
    return {
        ("POST", INTERACTIONS): own,
        ("POST", INTERACTIONS + "/batch"): {"interactions": [own]},
        ("POST", INTERACTIONS + "/list"): {"user_id": "u"},
        ("POST", FUSION + "/enable"): {"feature_uris": ["other", "channels"]},
        ("POST", FUSION + "/rollout"): {"rollout_pct": 5.0},
        ("POST", "/v1/rerank"): {"ranker": "none", "documents": DOCUMENTS},
        ("POST", "/v1/rerank/batch"): {"requests": [{"ranker": "none", "documents": DOCUMENTS}]},
    }


def test_every_route_by_the_ids_of_another_tenant(first, stranger):
    ids, read = first
    http, tokens = stranger
    before, given = read(), bodies(ids)
    # What creates comes last: until then whatever is found would be the first one's.
    for each in sorted(ALL, key=lambda each: (each.method, each.path) in LAST):
        route = (each.method, each.path)
        role = "metrics" if each.role is Role.METRICS else "admin"
        headers = {} if each.path.startswith("/ui") else tokens.headers(role)
        answer = http.request(
            each.method, each.path.format(**ids), headers=headers, json=given.get(route)
        )
        assert MARK not in answer.text, route
        assert answer.status_code < 500, (route, answer.text)
        if route == NOTHING_DELETED:
            assert answer.json()["deleted"] is False
        elif "{" in each.path and route not in CREATING:
            assert answer.status_code == 404, (route, answer.text)
        elif route in CREATING:
            assert answer.status_code == 200, (route, answer.text)
        assert read() == before, route
