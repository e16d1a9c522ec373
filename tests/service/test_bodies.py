"""Bodies as browsers and log shippers send them: gzip, JSON lines, beacons."""

import gzip
import json
import zlib

import pytest

from rankloom.errors import InvalidInputError
from rankloom.service import ServiceSettings
from rankloom.service.http.body import MAX_MEMBERS, unpacked
from rankloom.service.http.refusal import Refusal

PATH = "/v1/retrievers/interactions"
BATCH = f"{PATH}/batch"
SHOP = "https://shop.example"
ROW = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}
LINES = {"content-type": "application/x-ndjson"}
GZIP = {"content-type": "application/json", "content-encoding": "gzip"}
BEACON = {"content-type": "text/plain;charset=UTF-8", "origin": SHOP}


def row(name, **fields):
    return {**ROW, "interaction_id": name, **fields}


def lines(*rows):
    return b"\n".join(
        each if isinstance(each, bytes) else json.dumps(each).encode() for each in rows
    )


def statuses(answer):
    return [each["status"] for each in answer.json()["results"]]


def test_a_gzip_body_is_taken_as_what_it_holds(client):
    body = gzip.compress(json.dumps(row("z")).encode())
    answer = client.send("POST", PATH, content=body, headers=GZIP)
    assert (answer.status_code, answer.json()["interaction_id"]) == (200, "z")
    assert client.get(f"{PATH}/z").json()["feature_id"] == "d"
    members = b"".join(
        gzip.compress(part) for part in (b'{"interactions":[', lines(row("y")), b"]}")
    )
    assert statuses(client.send("POST", BATCH, content=members, headers=GZIP)) == ["created"]
    listed = client.send("POST", f"{PATH}/list", content=gzip.compress(b"{}"), headers=GZIP)
    assert len(listed.json()["items"]) == 2


def test_no_more_of_a_gzip_body_is_unpacked_than_a_plain_one_may_hold(client):
    """A million bytes of the same are a thousand compressed, and many empty members are none."""
    bomb = gzip.compress(b" " * 50_000_000)
    answer = client.send("POST", PATH, content=bomb, headers=GZIP)
    assert (answer.status_code, "1,000,000" in answer.text) == (413, True)
    whole = gzip.compress(b"[1]")
    for body, words in (
        (whole[:-4], "beginning"),
        (b"{}", "expected gzip"),
        (whole + b"rest", "expected gzip"),
        (gzip.compress(b"") * (MAX_MEMBERS + 1), "members"),
        (zlib.compress(b"{}"), "expected gzip"),
    ):
        answer = client.send("POST", PATH, content=body, headers=GZIP)
        assert (answer.status_code, words in answer.text) == (422, True), answer.text
    for limit in range(2, 5):
        if limit < 3:
            with pytest.raises(Refusal):
                unpacked(whole, limit)
        else:
            assert unpacked(whole, limit) == b"[1]"
    answer = client.send("POST", PATH, content=b"x", headers={**GZIP, "content-encoding": "br"})
    assert (answer.status_code, "gzip" in answer.text) == (415, True)


def test_json_lines_are_rows_of_a_batch_and_a_bad_line_fails_alone(client):
    body = (
        lines(row("a"), b'{"feature_id": ', b"", row("b", position=-1), b'{}, {"x": 1}', row("c"))
        + b"\r\n"
    )
    answer = client.send("POST", BATCH, content=body, headers=LINES)
    assert statuses(answer) == ["created", "failed", "failed", "failed", "created"]
    assert [each[0] for each in answer.json()["errors"]] == ["1", "2", "3"]
    both = gzip.compress(lines(*(row(f"n{n}") for n in range(1_000))))
    answer = client.send("POST", BATCH, content=both, headers={**GZIP, **LINES})
    assert answer.json()["created"] == 1_000
    for wrong in (b"\n", lines(*[ROW] * 1_001)):
        assert client.send("POST", BATCH, content=wrong, headers=LINES).status_code == 422
    assert client.send("POST", PATH, content=lines(ROW), headers=LINES).status_code == 415


def test_a_byte_order_mark_before_json_is_left_out(client):
    body = b"\xef\xbb\xbf" + json.dumps(row("m")).encode()
    kind = {"content-type": "application/json"}
    assert client.send("POST", PATH, content=body, headers=kind).json()["interaction_id"] == "m"


@pytest.fixture
def shop(serve_with):
    return serve_with(cors_origins=(SHOP,))


def beacon(shop, token, *, path=PATH, **options):
    given = {"headers": BEACON, "content": json.dumps(ROW), **options}
    return shop.http.post(path, params={"access_token": token}, **given)


def test_a_beacon_of_an_allowed_origin_is_recorded_with_an_ingest_token_and_no_other(shop):
    token = shop.tokens.of["ingest"]
    assert beacon(shop, token).status_code == 200
    assert beacon(shop, token, path=BATCH, content=json.dumps([ROW])).status_code == 200
    assert shop.send("POST", f"{PATH}/list").json()["items"]
    for role in ("read", "admin", "metrics"):
        assert beacon(shop, shop.tokens.of[role]).status_code == 401
    for wrong in ("", "rl_unknown", "x" * 10_000):
        assert beacon(shop, wrong).status_code == 401
    for origin in ("https://evil.example", "https://shop.example.evil.example", "null"):
        assert beacon(shop, token, headers={**BEACON, "origin": origin}).status_code == 403
    plain = {"content-type": BEACON["content-type"]}
    assert beacon(shop, token, headers=plain).status_code == 403


def test_an_ingest_token_in_the_address_opens_nothing_but_recording(shop):
    params = {"access_token": shop.tokens.of["ingest"]}
    shop.post(row("r"))
    for method, path in (
        ("GET", f"{PATH}/r"),
        ("DELETE", f"{PATH}/r"),
        ("POST", f"{PATH}/list"),
        ("POST", "/v1/rerank"),
        ("GET", "/v1/retrievers/q/learned-fusion/weights"),
        ("GET", "/metrics"),
    ):
        answer = shop.http.request(method, path, params=params, headers={"origin": SHOP})
        assert answer.status_code == 401, path
        bearer = {"authorization": f"Bearer {shop.tokens.of['ingest']}"}
        assert shop.http.request(method, path, headers=bearer).status_code == 403, path


def test_without_allowed_origins_no_address_holds_a_token_and_no_page_is_let_in(serve_with):
    service = serve_with()
    assert beacon(service, service.tokens.of["ingest"]).status_code == 403
    answer = service.http.options(
        PATH, headers={"origin": SHOP, "access-control-request-method": "POST"}
    )
    assert answer.status_code == 405
    assert "access-control-allow-origin" not in answer.headers


def test_pages_of_allowed_origins_may_send_and_read_answers_and_others_may_not(shop):
    asked = {
        "access-control-request-method": "POST",
        "access-control-request-headers": "authorization,content-type,idempotency-key",
    }
    allowed = shop.http.options(PATH, headers={"origin": SHOP, **asked})
    assert allowed.status_code == 200
    assert allowed.headers["access-control-allow-origin"] == SHOP
    assert "POST" in allowed.headers["access-control-allow-methods"]
    assert "access-control-allow-credentials" not in allowed.headers
    other = shop.http.options(PATH, headers={"origin": "https://evil.example", **asked})
    assert (other.status_code, "access-control-allow-origin" in other.headers) == (400, False)
    deleting = {"origin": SHOP, **asked, "access-control-request-method": "DELETE"}
    assert shop.http.options(PATH, headers=deleting).status_code == 400
    for origin, expected in ((SHOP, SHOP), ("https://evil.example", None)):
        answers = [
            shop.post(ROW, headers={"origin": origin}),
            shop.http.post(PATH, headers={"origin": origin}),
        ]
        assert [each.status_code for each in answers] == [200, 401]
        assert {each.headers.get("access-control-allow-origin") for each in answers} == {expected}


@pytest.mark.parametrize("origin", ["shop.example", "https://shop.example/", "ftp://x", ""])
def test_an_origin_that_no_browser_sends_is_refused_at_the_start(origin):
    with pytest.raises(InvalidInputError, match="cors_origins"):
        ServiceSettings(log="l", state="s", token_file="t", cors_origins=(origin,))  # noqa: S106
