"""The example configurations of proxies: run before a real service, over TLS, by real sockets."""

import contextlib
import json
import os
import shutil
import socket
import ssl
import subprocess
import time
from pathlib import Path

import httpx
import pytest

DEPLOY = Path(__file__).parents[2] / "deploy"
INTERACTIONS = "/rank/v1/retrievers/interactions"
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}
PATIENCE = 60.0


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return taken.getsockname()[1]


def changed(text, *changes):
    """Return a configuration with the places changed that it says to change, and short times."""
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new)
    return text


def nginx(folder, port, upstream):
    if shutil.which("openssl") is None:
        pytest.skip("there is no openssl to make a certificate with")
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
    make += ["-nodes", "-subj", "/CN=search.example.com", "-days", "2"]
    make += ["-keyout", str(folder / "key"), "-out", str(folder / "certificate")]
    subprocess.run(make, check=True, capture_output=True)
    text = changed(
        (DEPLOY / "nginx.conf").read_text(),
        ("listen 443 ssl", f"listen 127.0.0.1:{port} ssl"),
        ("server 127.0.0.1:8000", f"server {upstream}"),
        ("/etc/ssl/rankloom.pem", str(folder / "certificate")),
        ("/etc/ssl/rankloom.key", str(folder / "key")),
        ("client_header_timeout 10s", "client_header_timeout 1s"),
        ("client_body_timeout 20s", "client_body_timeout 1s"),
        ("http {\n", f"http {{\n    access_log off;\n{_temporary(folder)}"),
    )
    user = "user root;\n" if os.getuid() == 0 else ""  # it writes long bodies into the folder
    (folder / "nginx.conf").write_text(f"{user}daemon off;\npid {folder}/pid;\n{text}")
    return ["nginx", "-p", str(folder), "-e", "stderr", "-c", str(folder / "nginx.conf")]


def _temporary(folder):
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "".join(f"    {kind}_temp_path {folder}/{kind};\n" for kind in kinds)


_OPTIONS = "\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n"
_SITE = "\tbind 127.0.0.1\n\ttls internal"


def caddy(folder, port, upstream):
    text = changed(
        (DEPLOY / "Caddyfile").read_text(),
        (
            "{\n\tservers",
            "{\n\tadmin off\n\tskip_install_trust\n\tauto_https disable_redirects\n\tservers",
        ),
        (
            "search.example.com {",
            f"https://search.example.com:{port} {{\n\tbind 127.0.0.1\n\ttls internal",
        ),
        ("reverse_proxy 127.0.0.1:8000", f"reverse_proxy {upstream}"),
        ("read_header 10s", "read_header 1s"),
        ("read_body 20s", "read_body 1s"),
    )
    (folder / "Caddyfile").write_text(text)
    return ["caddy", "run", "--adapter", "caddyfile", "--config", str(folder / "Caddyfile")]


@contextlib.contextmanager
def proxied(name, folder, upstream):
    """Run a proxy; yield how to connect to it by TLS."""
    if shutil.which(name) is None:
        pytest.skip(f"there is no {name}: apt-get install {name}")
    folder.mkdir()
    port = free_port()
    command = {"nginx": nginx, "caddy": caddy}[name](folder, port, upstream)
    environment = {"HOME": str(folder), "XDG_DATA_HOME": str(folder), "PATH": "/usr/bin:/bin"}
    program = [shutil.which(name), *command[1:]]
    with (folder / "output").open("wb") as output:
        process = subprocess.Popen(program, stdout=output, stderr=output, env=environment)
    try:
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def connect():
            plain = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE)
            return context.wrap_socket(plain, server_hostname="search.example.com")

        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                connect().close()
                break
            except OSError:
                output = (folder / "output").read_text()[-2000:]
                assert process.poll() is None, output
                assert time.monotonic() < deadline, output
                time.sleep(0.05)
        yield connect
    finally:
        process.terminate()
        process.wait(PATIENCE)


def ask(connect, method, path, token, body=b"", *, lines=""):
    """Return status and body of one request."""
    with connect() as wire:
        head = (
            f"{method} {path} HTTP/1.1\r\nhost: search.example.com\r\nconnection: close\r\n"
            f"authorization: Bearer {token}\r\ncontent-type: application/json\r\n{lines}"
            f"content-length: {len(body)}\r\n\r\n"
        )
        wire.sendall(head.encode() + body)
        text = b""
        while part := wire.recv(65_536):
            text += part
    head, _, answer = text.partition(b"\r\n\r\n")
    return int(head.split()[1]), answer


def login(connect, token):
    """Return the head of the answer to a login by the form."""
    body = f"token={token}"
    head = (
        "POST /rank/ui/login HTTP/1.1\r\nhost: search.example.com\r\nconnection: close\r\n"
        "origin: https://search.example.com\r\n"
        "content-type: application/x-www-form-urlencoded\r\n"
        f"content-length: {len(body)}\r\n\r\n"
    )
    with connect() as wire:
        wire.sendall((head + body).encode())
        text = b""
        while part := wire.recv(65_536):
            text += part
    return text.partition(b"\r\n\r\n")[0].decode()


@pytest.mark.parametrize("name", ["nginx", "caddy"])
def test_an_example_configuration_serves_and_keeps_slow_senders_away(name, serve_with, tmp_path):
    client = serve_with(root_path="/rank")
    token = client.tokens.of["admin"]
    with proxied(name, tmp_path / name, f"{client.host}:{client.port}") as connect:
        assert ask(connect, "GET", "/rank/healthz", token)[0] == 200
        body = json.dumps({**CLICK, "interaction_id": "a/b c"}).encode()
        assert ask(connect, "POST", INTERACTIONS, token, body)[0] == 200
        for path in (f"{INTERACTIONS}/a%2Fb%20c", f"{INTERACTIONS}?interaction_id=a%2Fb%20c"):
            status, answer = ask(connect, "GET", path, token)
            assert (status, json.loads(answer)["interaction_id"]) == (200, "a/b c")
        answer = login(connect, token)
        assert " 303 " in answer.splitlines()[0]
        assert "Path=/rank/ui; Max-Age=43200; HttpOnly; SameSite=Strict; Secure" in answer
        document = json.loads(ask(connect, "GET", "/rank/openapi.json", token)[1])
        assert document["servers"] == [{"url": "/rank"}]
        long = json.dumps({"interactions": [CLICK] * 1_000}).encode().ljust(7_900_000)
        assert ask(connect, "POST", f"{INTERACTIONS}/batch", token, long)[0] == 200
        offer = "upgrade: h2c\r\nhttp2-settings: AAMA\r\n"
        assert ask(connect, "POST", INTERACTIONS, token, body, lines=offer)[0] == 200
        for sent in (
            b"GET /rank/healthz HTTP/1.1\r\nhost: search.exam",
            f"POST {INTERACTIONS} HTTP/1.1\r\nhost: search.example.com\r\ncontent-length: 50\r\n"
            f"authorization: Bearer {token}\r\n\r\n{{".encode(),
        ):
            with connect() as wire:
                wire.sendall(sent)
                while wire.recv(65_536):
                    pass  # the proxy ends it
        assert client.service.limits.requests == 0


def test_a_service_answers_on_a_socket_of_the_machine(started, tokens_for, tmp_path):
    path = tmp_path / "service.sock"
    tokens = tokens_for(tmp_path / "tokens", "shop")
    with started(tmp_path, "--unix-socket", str(path)) as process:
        try:
            assert process.stdout.readline() == f"serving on unix:{path}\n"
            assert path.stat().st_mode & 0o777 == 0o660
            transport = httpx.HTTPTransport(uds=str(path))
            with httpx.Client(transport=transport, base_url="http://service") as http:
                assert http.get("/healthz", timeout=PATIENCE).status_code == 200
                stored = http.post(
                    "/v1/retrievers/interactions",
                    json=CLICK,
                    headers=tokens.headers("admin"),
                    timeout=PATIENCE,
                )
                assert stored.status_code == 200
                token = {"token": tokens.of["read"]}
                assert http.post("/ui/login", data=token, timeout=PATIENCE).status_code == 303
                assert http.get("/ui", timeout=PATIENCE).status_code == 200
                assert http.get("/docs", timeout=PATIENCE).status_code == 200
        finally:
            process.terminate()
            process.wait(PATIENCE)
    assert not path.exists()
