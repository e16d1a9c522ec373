"""Where the service stands: mounted, behind a prefix, on servers that leave optional fields out."""

import asyncio
import contextlib

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from rankloom.errors import InvalidInputError
from rankloom.service import ServiceSettings, create_app
from rankloom.service.http.tokens import add_token

BASE = "/v1/retrievers"
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "a"}


@pytest.fixture
def application(tmp_path):
    """A function that makes an application with settings of its own, and its token."""
    token = add_token(tmp_path / "tokens", "shop", "admin")
    with contextlib.ExitStack() as stack:

        def make(**settings):
            name = len(list(tmp_path.glob("*.db")))
            given = {
                "log": f"sqlite:///{tmp_path}/log-{name}.db",
                "state": f"sqlite:///{tmp_path}/fusion-{name}.db",
                "token_file": tmp_path / "tokens",
            }
            app = create_app(ServiceSettings(**given, **settings))
            stack.callback(app.close)
            return app, token

        yield make


async def _asked(app, token, prefix):
    """Return status and body of a request to every kind of route."""
    transport = httpx.ASGITransport(app=app)
    headers = {"authorization": f"Bearer {token}", "x-request-id": "same"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://test", headers=headers
    ) as http:
        fusion = f"{prefix}{BASE}/s%2F1/learned-fusion"
        row = {**CLICK, "interaction_id": "i/1", "occurred_at": "2026-01-01T00:00:00Z"}
        answers = [
            await http.post(f"{fusion}/enable", json={"feature_uris": ["a", "b"]}),
            await _weights(http, f"{fusion}/weights/u%2F1"),
            await http.get(f"{prefix}/healthz"),
            await http.get(f"{prefix}/nowhere"),
            await http.put(f"{prefix}{BASE}/interactions"),
            await http.post(f"{prefix}{BASE}/interactions", json=row),
            await http.post(f"{prefix}{BASE}/interactions/batch", json={"interactions": [row]}),
            await http.post(f"{prefix}{BASE}/interactions/list", json={}),
            await http.get(f"{prefix}{BASE}/interactions/i%2F1"),
            await http.delete(f"{prefix}{BASE}/interactions/i%2F1"),
        ]
        document = (await http.get(f"{prefix}/openapi.json")).json()
    found = []
    for answer in answers:
        body = answer.json()
        for item in (body, *body.get("items", ()), *body.get("results", ())):
            item.pop("timestamp", None)
        found.append((answer.status_code, body))
    return found, document["servers"]


async def _weights(http, url):
    """Ask until the log, of no rows, has been learnt to its end."""
    for _ in range(1_000):
        answer = await http.get(url)
        if "not learnt" not in answer.text:
            return answer
        await asyncio.sleep(0.05)
    return answer


def asked(app, token, prefix=""):
    return asyncio.run(_asked(app, token, prefix))


def without(app, *names):
    """Return an application whose server leaves fields of the scope out."""

    async def changed(scope, receive, send):
        await app({k: v for k, v in scope.items() if k not in names}, receive, send)

    return changed


def test_every_answer_is_the_same_mounted_behind_a_prefix_and_without_optional_fields(application):
    plain, servers = asked(*application())
    # %2F cuts an id in two where the server does not say what was sent: see the next test.
    assert [status for status, _ in plain] == [200, 200, 200, 404, 405, 200, 200, 200, 200, 200]
    assert servers == [{"url": "/"}]
    app, token = application()
    mounted = Starlette(routes=[Mount("/search/rank", app=app)])
    assert asked(mounted, token, "/search/rank") == (plain, [{"url": "/search/rank"}])
    app, token = application(root_path="/rank")
    assert asked(app, token, "/rank") == (plain, [{"url": "/rank"}])
    app, token = application(root_path="/rank")
    assert asked(app, token) == (plain, [{"url": "/rank"}])


def test_without_raw_path_an_id_with_a_slash_is_a_query_parameter(application):
    app, token = application()
    bare = without(app, "raw_path", "root_path", "client", "server", "scheme")
    at = f"{BASE}/learned-fusion"

    async def ask():
        transport = httpx.ASGITransport(app=bare)
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(
            transport=transport, base_url="http://test", headers=headers
        ) as http:
            retriever, user = {"retriever_id": "s/1"}, {"user_id": "u/1"}
            both = {**retriever, **user}
            body = {"feature_uris": ["a", "b"]}
            found = [
                await http.post(f"{at}/enable", params=retriever, json=body),
                await http.get(f"{at}/weights", params=both),
                await http.get(f"{at}/stats", params=retriever),
                await http.post(f"{at}/opt-out", params=both),
                await http.delete(f"{at}/user", params=both),
                await http.get(f"{at}/weights", params=user),
                await http.get(f"{at}/weights", params=[("retriever_id", "a"), *both.items()]),
                await http.post(f"{BASE}/interactions", json={**CLICK, "interaction_id": "i/1"}),
                await http.get(f"{BASE}/interactions", params={"interaction_id": "i/1"}),
                await http.delete(f"{BASE}/interactions", params={"interaction_id": "i/1"}),
                await http.post(f"{BASE}/r/learned-fusion/enable", json=body),
                await http.post(f"{BASE}/r/learned-fusion/opt-out", params=user),
                await http.get(f"{BASE}/r/learned-fusion/weights", params=user),
            ]
            return [(each.status_code, each.json()) for each in found]

    found = asyncio.run(ask())
    statuses = [200, 200, 200, 200, 200, 422, 422, 200, 200, 200, 200, 200, 200]
    assert [status for status, _ in found] == statuses
    assert [found[1][1][name] for name in ("retriever_id", "user_id")] == ["s/1", "u/1"]
    assert found[5][1]["error"]["details"]["errors"][0]["field"] == "retriever_id"
    assert found[8][1]["interaction_id"] == "i/1"
    assert found[12][1]["user_id"] == "u/1"


@pytest.mark.parametrize("given", ["rank", "/rank/", "/a b", "/v1", '/"', "/" + "x" * 65])
def test_a_prefix_that_no_path_can_begin_with_is_refused(given):
    with pytest.raises(InvalidInputError, match="root_path"):
        ServiceSettings(log="sqlite:///a", state="sqlite:///b", token_file="t", root_path=given)  # noqa: S106


@pytest.mark.parametrize(
    ("forwarded", "url"), [("/rank", "/rank"), ('/"><x>', "/"), ("//evil.example", "/")]
)
def test_the_document_names_the_prefix_that_a_proxy_took_off(serve_with, forwarded, url):
    client = serve_with()
    headers = {"x-forwarded-prefix": forwarded}
    assert client.get("/openapi.json", headers=headers).json()["servers"] == [{"url": url}]
