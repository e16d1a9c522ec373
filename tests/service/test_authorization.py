"""Who may do what: every route with every role, other tenants' ids, and tokens that come and go."""

import os
import subprocess
import sys

import pytest

from rankloom.errors import InvalidInputError, UnreadableSourceError
from rankloom.service.api.routes import ENDPOINTS
from rankloom.service.http.roles import Role
from rankloom.service.http.tokens import Tokens, add_token, digest_of

INTERACTIONS = "/v1/retrievers/interactions"
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}
ALLOWED = {
    None: {"ingest", "read", "admin", "metrics", "none", "wrong"},
    Role.INGEST: {"ingest", "admin"},
    Role.READ: {"read", "admin"},
    Role.ADMIN: {"admin"},
    Role.METRICS: {"metrics"},
}
# What each role may do is written down here once more: the table of routes must not decide alone.
NEEDED = {
    ("POST", INTERACTIONS): Role.INGEST,
    ("POST", INTERACTIONS + "/batch"): Role.INGEST,
    ("POST", INTERACTIONS + "/list"): Role.READ,
    ("GET", INTERACTIONS + "/{interaction_id}"): Role.READ,
    ("DELETE", INTERACTIONS + "/{interaction_id}"): Role.ADMIN,
    ("GET", "/v1/retrievers/{retriever_id}/learned-fusion/weights"): Role.READ,
    ("GET", "/v1/retrievers/{retriever_id}/learned-fusion/weights/{user_id}"): Role.READ,
    ("GET", "/v1/retrievers/{retriever_id}/learned-fusion/stats"): Role.READ,
    ("POST", "/v1/retrievers/{retriever_id}/learned-fusion/enable"): Role.ADMIN,
    ("POST", "/v1/retrievers/{retriever_id}/learned-fusion/disable"): Role.ADMIN,
    ("POST", "/v1/retrievers/{retriever_id}/learned-fusion/rollout"): Role.ADMIN,
    ("GET", "/v1/retrievers/{retriever_id}/learned-fusion/history"): Role.READ,
    ("GET", "/v1/retrievers/{retriever_id}/learned-fusion/changes"): Role.READ,
    ("POST", "/v1/retrievers/{retriever_id}/learned-fusion/rollback/{snapshot}"): Role.ADMIN,
    ("POST", "/v1/retrievers/{retriever_id}/learned-fusion/resume"): Role.ADMIN,
    ("POST", "/v1/retrievers/{retriever_id}/learned-fusion/opt-out/{user_id}"): Role.ADMIN,
    ("POST", "/v1/retrievers/{retriever_id}/learned-fusion/opt-in/{user_id}"): Role.ADMIN,
    ("DELETE", "/v1/retrievers/{retriever_id}/learned-fusion/user/{user_id}"): Role.ADMIN,
    ("POST", "/v1/rerank"): Role.READ,
    ("POST", "/v1/rerank/batch"): Role.READ,
    ("GET", "/healthz"): None,
    ("GET", "/readyz"): None,
    ("GET", "/openapi.json"): None,
    ("GET", "/metrics"): Role.METRICS,
}


def test_every_route_is_in_the_matrix():
    assert {(each.method, each.path): each.role for each in ENDPOINTS} == NEEDED


@pytest.mark.parametrize("route", NEEDED, ids=" ".join)
@pytest.mark.parametrize("who", ["ingest", "read", "admin", "metrics", "none", "wrong"])
def test_every_route_lets_in_its_roles_and_no_others(client, route, who, wait_until):
    method, path = route
    path = path.replace("{interaction_id}", "i").replace("{retriever_id}", "r")
    headers = {"none": {}, "wrong": {"authorization": "Bearer rl_wrong"}}.get(who)
    headers = client.tokens.headers(who) if headers is None else headers
    answer = client.http.request(method, path.replace("{user_id}", "u"), headers=headers)
    status = answer.status_code
    if who in ALLOWED[NEEDED[route]]:
        assert status not in {401, 403}
        if path == "/readyz":  # a disk may be slow just now
            wait_until(lambda: client.get("/readyz").status_code == 200)
        else:
            assert status < 500
    else:
        assert status == (401 if who in {"none", "wrong"} else 403)
        assert answer.json()["success"] is False
        assert ("www-authenticate" in answer.headers) is (status == 401)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "Bearer",
        "Basic {}",
        "{}",
        "Bearer {} x",
        "Bearer {}x",
        "Bearer " + "x" * 9000,
    ],
)
def test_anything_but_a_whole_bearer_token_is_401(client, header):
    value = header.format(client.tokens.of["admin"])
    answer = client.http.get(f"{INTERACTIONS}/i", headers={"authorization": value})
    assert answer.status_code == 401


def test_a_token_that_is_no_text_is_401(client):
    headers = {"authorization": b"Bearer \xff\xfe"}
    assert client.http.get(f"{INTERACTIONS}/i", headers=headers).status_code == 401


def test_the_stored_digest_is_no_token(client, service_process):
    digest = digest_of(client.tokens.of["admin"]).decode()
    assert digest in (service_process[0] / "tokens").read_text()
    headers = {"authorization": f"Bearer {digest}"}
    assert client.http.get(f"{INTERACTIONS}/i", headers=headers).status_code == 401


def test_two_authorization_headers_are_refused(client):
    tokens = [("authorization", f"Bearer {client.tokens.of[role]}") for role in ("read", "admin")]
    assert client.http.get(f"{INTERACTIONS}/i", headers=tokens).status_code == 400


def test_x_namespace_must_be_the_tokens_own(client, stranger):
    for namespace, status in ((client.tokens.namespace, 404), (stranger.tokens.namespace, 403)):
        answer = client.get(f"{INTERACTIONS}/i", headers={"x-namespace": namespace})
        assert answer.status_code == status


def test_another_tenants_record_cannot_be_seen_found_or_deleted(client, stranger):
    kept = client.post({**CLICK, "user_id": "u"}).json()["interaction_id"]
    assert stranger.get(f"{INTERACTIONS}/{kept}").status_code == 404
    assert stranger.delete(f"{INTERACTIONS}/{kept}").json()["deleted"] is False
    assert stranger.post({"user_id": "u"}, f"{INTERACTIONS}/list").json()["items"] == []
    assert client.get(f"{INTERACTIONS}/{kept}").status_code == 200


def test_another_tenants_retriever_is_unknown(client, stranger):
    client.post({**CLICK, "retriever_id": "theirs"})
    path = "/v1/retrievers/theirs/learned-fusion/weights"
    assert client.get(path).status_code == 200
    assert stranger.get(path).status_code == 404


def test_tokens_come_and_go_without_a_restart(serve_with, wait_until):
    client = serve_with()
    path = client.service.settings.token_file
    new = add_token(path, "shop", "read")

    def ask(token=new):
        headers = {"authorization": f"Bearer {token}"}
        return client.http.get(f"{INTERACTIONS}/i", headers=headers)

    wait_until(lambda: ask().status_code == 404)
    lines = [line for line in path.read_text().splitlines() if digest_of(new).decode() not in line]
    path.write_text("\n".join(lines))
    wait_until(lambda: ask().status_code == 401)


def test_a_damaged_token_file_leaves_the_last_good_one(tmp_path, caplog):
    path = tmp_path / "tokens"
    token = add_token(path, "shop", "read")
    tokens = Tokens(path)
    path.write_text("secret-that-must-not-be-shown\n")
    tokens._looked -= 10
    assert tokens.caller(token) is not None
    assert "line 1" in caplog.text
    assert "secret-that-must-not-be-shown" not in caplog.text
    path.unlink()
    tokens._looked -= 10
    assert tokens.caller(token) is not None


@pytest.mark.parametrize(
    "line",
    [
        "secretsecret shop read",
        "a" * 64 + " shop",
        "a" * 64 + " shop owner",
        "A" * 64 + " shop read",
        "a" * 64 + " shop read more",
        "a" * 64 + " s\u2028hop read",
    ],
)
def test_a_malformed_line_is_named_by_its_number_and_never_shown(tmp_path, line):
    path = tmp_path / "tokens"
    path.write_text(f"# comment\n\n{line}\n")
    with pytest.raises(InvalidInputError, match="line 3") as refused:
        Tokens(path)
    assert line.split()[0] not in str(refused.value)


def test_a_missing_token_file_cannot_be_read(tmp_path):
    with pytest.raises(UnreadableSourceError, match="token file"):
        Tokens(tmp_path / "tokens")


def test_a_new_token_file_is_for_its_owner_only_and_holds_no_token(tmp_path):
    path = tmp_path / "tokens"
    before = os.umask(0)
    try:
        made = [add_token(path, "shop", role) for role in Role]
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(set(made)) == len(made)
    assert not any(token in path.read_text() for token in made)
    assert [Tokens(path).caller(token).role for token in made] == list(Role)


def test_a_line_is_added_whole_behind_one_that_was_left_open(tmp_path):
    path = tmp_path / "tokens"
    first = add_token(path, "shop", "read")
    path.write_bytes(path.read_bytes().rstrip())
    second = add_token(path, "shop", "admin")
    assert all(Tokens(path).caller(token) for token in (first, second))


def test_a_line_that_does_not_fit_leaves_the_file_as_it_was(tmp_path):
    """Half a line would keep the service from starting, and the token would be worth nothing."""
    path = tmp_path / "tokens"
    add_token(path, "shop", "read")
    before = path.read_bytes()
    code = (
        "import resource, sys\n"
        "from rankloom.service.http.tokens import add_token\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, 2 * ({len(before) + 20},))\n"
        "try:\n    print(add_token(sys.argv[1], 'shop', 'admin'))\n"
        "except Exception as error:\n    print(type(error).__name__, error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("StoreError")
    assert "no token was made" in done.stdout
    assert path.read_bytes() == before


@pytest.mark.parametrize("namespace", ["", "a b", "a\nb", "x" * 129, "ü"])
def test_a_namespace_that_a_line_cannot_hold_is_refused(tmp_path, namespace):
    with pytest.raises(InvalidInputError, match="namespace"):
        add_token(tmp_path / "tokens", namespace, "read")
