"""Pages for people: who may see them, whose they show, headers for browsers, and escaping."""

import asyncio
import contextlib
import datetime as dt
import json
import re
from html.parser import HTMLParser
from itertools import pairwise
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.routing import Mount

from rankloom.service import ServiceSettings, create_app
from rankloom.service.api.pages.charts import Point, share_chart
from rankloom.service.api.pages.html import element, join, table
from rankloom.service.api.routes import ALL, ENDPOINTS, PAGES
from rankloom.service.http.roles import Role
from rankloom.service.http.tokens import add_token

BATCH = "/v1/retrievers/interactions/batch"
HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(1)>&amp;'`{{7*7}}"
# Who sees what is written down here once more: the table of routes must not decide alone.
NEEDED = {
    ("GET", "/ui/style.css"): (None, False),
    ("GET", "/ui/login"): (None, False),
    ("POST", "/ui/login"): (None, False),
    ("POST", "/ui/logout"): (None, False),
    ("GET", "/docs"): (None, False),
    ("GET", "/ui"): (Role.READ, True),
    ("GET", "/ui/retrievers/{retriever_id}"): (Role.READ, True),
}


class Outline(HTMLParser):
    """Tags, attributes and text of a page, as a browser reads them."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.attributes, self.text = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, *pair) for pair in attrs]

    def handle_data(self, data):
        self.text.append(data)


def rows(channel, number=40):
    moment = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    return [
        {
            "feature_id": f"d{n}",
            "execution_id": f"e{n}",
            "user_id": f"u{n}",
            "retriever_id": HOSTILE,
            "interaction_type": ["impression", "click"] if n % 3 == 0 else ["impression"],
            "position": 0,
            "feature_uri": channel,
            "metadata": {"fusion": {"policy": ("learned", "control")[n % 2]}},
            "occurred_at": (moment + dt.timedelta(seconds=n)).isoformat(),
        }
        for n in range(number)
    ]


@contextlib.contextmanager
def logged_in(client):
    """Lend a browser's client with the cookie of a login."""
    with httpx.Client(base_url=client.url, timeout=120) as browser:
        answer = browser.post("/ui/login", data={"token": client.tokens.of["read"]})
        assert answer.status_code == 303, answer.text
        yield browser


@pytest.fixture
def hostile(client, wait_until):
    """A retriever whose every name is an attack."""
    base = f"/v1/retrievers/{quote(HOSTILE, safe='')}/learned-fusion"
    channels = [HOSTILE, "plain"]
    client.post({"feature_uris": channels}, f"{base}/enable")
    client.post({"interactions": rows(HOSTILE)}, BATCH)
    wait_until(lambda: client.get(f"{base}/history").json()["snapshots"])
    client.post({"rollout_pct": 50}, f"{base}/rollout")
    return client


def test_every_page_is_in_the_matrix_and_none_in_the_document(client):
    assert {(each.method, each.path): (each.role, each.by_cookie) for each in PAGES} == NEEDED
    assert (*ENDPOINTS, *PAGES) == ALL
    assert not any("/ui" in path for path in client.get("/openapi.json").json()["paths"])


@pytest.mark.parametrize("path", ["/ui", "/ui/retrievers/r", "/ui/retrievers?retriever_id=r"])
@pytest.mark.parametrize("role", ["ingest", "read", "admin", "metrics"])
def test_pages_are_seen_with_the_cookie_only(client, path, role):
    """A bearer token opens no page, and the cookie no other route."""
    answer = client.get(path, role=role)
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui/login")
    cookie = {"cookie": f"rankloom_token={client.tokens.of[role]}"}
    status = client.http.get(path, headers=cookie).status_code
    assert status == (303 if role in {"ingest", "metrics"} else 200 if path == "/ui" else 404)
    for other in ("/metrics", "/v1/retrievers/r/learned-fusion/stats"):
        assert client.http.get(other, headers=cookie).status_code == 401


@pytest.mark.parametrize("role", ["read", "admin"])
def test_a_login_sets_a_cookie_that_scripts_and_other_sites_do_not_get(client, role):
    answer = client.http.post("/ui/login", data={"token": f" {client.tokens.of[role]} "})
    assert (answer.status_code, answer.headers["location"]) == (303, "/ui")
    value, *parts = answer.headers["set-cookie"].split("; ")
    assert value == f"rankloom_token={client.tokens.of[role]}"
    assert set(parts) == {"Path=/ui", "Max-Age=43200", "HttpOnly", "SameSite=Strict"}
    forwarded = {"x-forwarded-proto": "https"}
    data = {"token": client.tokens.of[role]}
    answer = client.http.post("/ui/login", data=data, headers=forwarded)
    assert answer.headers["set-cookie"].endswith("; SameSite=Strict; Secure")
    with logged_in(client) as browser:
        assert browser.get("/ui").status_code == 200
        assert browser.post("/ui/logout").headers["location"] == "/ui/login"
        assert browser.get("/ui").status_code == 303


@pytest.mark.parametrize(
    "given",
    [
        *("", "token=", "token=rl_wrong", "x", "token=%00", "token=a%3Bb", "token=%ff"),
        *("token=" + "x" * 2_000, f"token={quote(HOSTILE)}", "&" * 100),
    ],
)
def test_anything_but_a_known_token_is_refused_and_never_shown(client, given):
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = client.http.post("/ui/login", content=given, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers
    assert "This token is not known." in answer.text
    assert "alert" not in answer.text.replace('role="alert"', "")
    assert client.http.get("/ui", headers={"cookie": f"a; {given[:200]}."}).status_code == 303


@pytest.mark.parametrize("role", ["ingest", "metrics"])
def test_tokens_that_may_not_read_are_refused(client, role):
    answer = client.http.post("/ui/login", data={"token": client.tokens.of[role]})
    assert answer.status_code == 403
    assert "role read or admin" in answer.text
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    "headers",
    [
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "https://evil.example"},
        {"origin": "null"},
    ],
)
@pytest.mark.parametrize("path", ["/ui/login", "/ui/logout"])
def test_forms_of_other_sites_are_refused(client, path, headers):
    data = {"token": client.tokens.of["read"]}
    answer = client.http.post(path, data=data, headers=headers)
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


def test_a_form_is_of_its_own_media_type(client):
    answer = client.http.post("/ui/login", json={"token": client.tokens.of["read"]})
    assert answer.status_code == 415
    data = {"token": "x" * 5_000}
    assert client.http.post("/ui/login", data=data).status_code == 413


def test_pages_allow_no_script_and_nothing_of_other_sites(hostile):
    with logged_in(hostile) as browser:
        answers = [browser.get(path) for path in ("/ui", "/ui/login", "/docs", "/ui/retrievers/x")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; style-src 'self'; img-src data:;")
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["cache-control"] == "no-store"
        outline = Outline(answer.text)
        assert not {"script", "style", "iframe", "object", "base"} & set(outline.tags)
        assert not any(
            name == "style" or name.startswith("on") for _, name, _ in outline.attributes
        )
        links = [v for _, name, v in outline.attributes if name in {"href", "src", "action"}]
        assert all(v.startswith(("/", "#", "data:,")) and v[:2] != "//" for v in links)


def test_names_that_attack_are_shown_as_text(hostile):
    with logged_in(hostile) as browser:
        listed = browser.get("/ui")
        page = browser.get("/ui/retrievers", params={"retriever_id": HOSTILE})
        again = browser.get(f"/ui/retrievers/{quote(HOSTILE, safe='')}")
    assert (listed.status_code, page.status_code, again.status_code) == (200, 200, 200)
    for answer in (listed, page):
        outline = Outline(answer.text)
        assert HOSTILE in "".join(outline.text)
        assert not {"script", "img"} & set(outline.tags)
        assert "<script" not in answer.text
    (link,) = [v for _, name, v in Outline(listed.text).attributes if v and "retriever_id" in v]
    with logged_in(hostile) as browser:
        assert browser.get(link).text.count("svg") == page.text.count("svg") > 2


def test_a_page_says_what_the_routes_say(hostile):
    base = f"/v1/retrievers/{quote(HOSTILE, safe='')}/learned-fusion"
    found = hostile.get(f"{base}/stats").json()
    with logged_in(hostile) as browser:
        page = browser.get("/ui/retrievers", params={"retriever_id": HOSTILE}).text
    text = " ".join(Outline(page).text)
    assert found["snapshot_id"] in text
    for channel in found["channels"]:
        assert f"{channel['weight']:.3f}" in text
        assert f"{channel['exposures']:,.1f}" in text
    assert "50 % of users take part" in text
    assert "rollout_pct:" in text
    for policy in ("learned", "control"):
        assert re.search(rf"{policy}\s+20\s", text)
    kept = hostile.get(f"{base}/history").json()["snapshots"][0]["snapshot_id"]
    assert hostile.send("POST", f"{base}/rollback/{kept}").status_code == 200
    with logged_in(hostile) as browser:
        page = browser.get("/ui/retrievers", params={"retriever_id": HOSTILE}).text
    assert "rolled back to this snapshot until resume" in page


def test_another_tenant_sees_other_pages(hostile, stranger):
    assert hostile.tokens.namespace != stranger.tokens.namespace
    with logged_in(stranger) as browser:
        assert HOSTILE not in "".join(Outline(browser.get("/ui").text).text)
        answer = browser.get("/ui/retrievers", params={"retriever_id": HOSTILE})
    assert answer.status_code == 404
    assert "No retriever of this id" in answer.text
    assert "alert" not in answer.text


def test_a_retriever_that_never_learnt_or_is_disabled_has_a_page(client):
    base = "/v1/retrievers/r/learned-fusion"
    client.post({"feature_uris": ["a", "b"]}, f"{base}/enable")
    with logged_in(client) as browser:
        page = browser.get("/ui/retrievers/r")
        assert page.status_code == 200
        assert "No snapshot has been published yet." in page.text
        client.send("POST", f"{base}/disable")
        assert "learned fusion is disabled" in browser.get("/ui/retrievers/r").text


def test_the_document_as_a_page_names_every_route_and_type_and_leads_to_each(client):
    document = client.get("/openapi.json").json()
    page = client.http.get("/docs").text
    outline = Outline(page)
    text = "".join(outline.text)
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert f"{method.upper()}{path}" in text
            assert operation["summary"] in text
    ids = {value for _, name, value in outline.attributes if name == "id"}
    linked = {v[1:] for _, name, v in outline.attributes if name == "href" and v[0] == "#"}
    assert linked <= ids
    assert {f"type-{name}" for name in document["components"]["schemas"]} <= ids
    example = next(iter(document["paths"]["/v1/rerank"]["post"]["requestBody"]["content"].values()))
    assert json.dumps(example["example"]["ranker"]) in text


@pytest.mark.parametrize("how", ["mounted", "root_path", "forwarded"])
def test_links_cookies_and_redirects_stay_below_a_prefix(tmp_path, how):
    token = add_token(tmp_path / "tokens", "shop", "read")
    settings = ServiceSettings(
        log=f"sqlite:///{tmp_path}/log.db",
        state=f"sqlite:///{tmp_path}/fusion.db",
        token_file=tmp_path / "tokens",
        root_path="/rank" if how == "root_path" else "",
    )
    app = create_app(settings)
    served = Starlette(routes=[Mount("/rank", app=app)]) if how == "mounted" else app
    headers = {"x-forwarded-prefix": "/rank"} if how == "forwarded" else {}
    asked = "" if how == "forwarded" else "/rank"

    async def ask():
        transport = httpx.ASGITransport(app=served)
        async with httpx.AsyncClient(
            transport=transport, base_url="https://test", headers=headers
        ) as http:
            sent = await http.get(f"{asked}/ui")
            login = await http.post(f"{asked}/ui/login", data={"token": token})
            cookie = {"cookie": f"rankloom_token={token}"}
            pages = [await http.get(asked + p, headers=cookie) for p in ("/ui", "/docs")]
            return sent, login, pages

    try:
        sent, login, pages = asyncio.run(ask())
    finally:
        app.close()
    assert sent.headers["location"] == "/rank/ui/login"
    assert login.headers["location"] == "/rank/ui"
    assert "Path=/rank/ui; " in login.headers["set-cookie"]
    assert login.headers["set-cookie"].endswith("Secure")
    for page in pages:
        assert page.status_code == 200
        links = [v for _, n, v in Outline(page.text).attributes if n in {"href", "action"}]
        assert all(v.startswith(("/rank/", "#", "data:,")) for v in links)


TEXTS = st.text("<>&;\"'`=/ ab\n\t\x00\x0b\x1f\x7f\xa0\u202e\U0001f600")


@given(TEXTS, TEXTS, st.sampled_from(["p", "td", "a", "text"]))
def test_any_text_stays_text_and_any_value_stays_a_value(content, value, name):
    outline = Outline(f"<div>{element(name, content, title=value)}</div>")
    seen = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
    assert outline.tags == ["div", name]
    assert outline.attributes == [(name, "title", seen.sub("\ufffd", value))]
    assert "".join(outline.text) == seen.sub("\ufffd", content)


@given(st.lists(st.lists(TEXTS, min_size=2, max_size=2), max_size=4))
def test_tables_and_lists_escape_their_cells(cells):
    made = join(table(["<b>", "x"], cells), [each[0] for each in cells])
    assert set(Outline(made).tags) <= {"table", "thead", "tbody", "tr", "th", "td", "div"}


@given(
    st.lists(
        st.tuples(st.floats(0, 40_000), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1)),
        min_size=1,
        max_size=9,
    ),
    TEXTS,
)
def test_a_chart_draws_every_point_within_its_frame(values, label):
    ordered = sorted((at, *sorted(each)) for at, *each in values)
    points = [Point(at, value, low, high) for at, low, value, high in ordered]
    made = share_chart(points, max(p.high for p in points), label)
    outline = Outline(made)
    assert ("svg", "aria-label", re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\ufffd", label)) in (
        outline.attributes
    )
    (line,) = [v for tag, name, v in outline.attributes if (tag, name) == ("polyline", "points")]
    at = [tuple(map(float, pair.split(","))) for pair in line.split()]
    assert len(at) == len(points)
    assert [x for x, _ in at] == sorted(x for x, _ in at)
    assert all(0 <= x <= 320 and 0 <= y <= 150 for x, y in at)
    higher = sorted(zip([p.value for p in points], at, strict=True))
    assert all(a[1][1] >= b[1][1] - 0.11 for a, b in pairwise(higher))
    assert "0 %" in outline.text
