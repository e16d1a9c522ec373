"""The service as a process: how it starts, what it logs, and how it ends."""

import contextlib
import http.client
import json
import resource
import select
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

import httpx
import pytest

from rankloom.cli import main
from rankloom.service.http.tokens import add_token
from rankloom.service.socket_path import listen_on_path

INTERACTIONS = "/v1/retrievers/interactions"
CLICK = {"feature_id": "d", "interaction_type": ["click"], "position": 0, "feature_uri": "text"}
PATIENCE = 120.0
"""Seconds after which what has to come does not come."""


@pytest.fixture
def service(tmp_path, started, started_address, tokens_for, client_of):
    """A process of the test's own, with a client."""
    tokens = tokens_for(tmp_path / "tokens", "shop")
    with started(tmp_path) as process:
        client = client_of(started_address(process), tokens)
        client.process = process
        with client.http:
            yield client
        if process.poll() is None:
            process.kill()


def lines(folder):
    return [json.loads(line) for line in (folder / "stderr").read_text().splitlines()]


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_with_0_and_frees_the_port(service, stop):
    assert service.post(CLICK).status_code == 200
    service.process.send_signal(stop)
    assert service.process.wait(timeout=PATIENCE) == 0
    with pytest.raises(httpx.TransportError):
        service.http.get("/healthz")


STOPPED_SECONDS = 0.3


@pytest.mark.slow
def test_a_request_that_arrives_while_the_process_is_stopped_is_answered(
    tmp_path, started, started_address, tokens_for, client_of, wait_until
):
    """It lies there longer than proxies keep connections idle that they send requests on."""
    tokens = tokens_for(tmp_path / "tokens", "shop")
    with started(tmp_path) as process, contextlib.ExitStack() as stack:
        stack.callback(process.kill)
        client = client_of(started_address(process), tokens)
        connection = http.client.HTTPConnection(client.host, client.port, timeout=PATIENCE)
        with client.http, contextlib.closing(connection):
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            for _ in range(4):
                process.send_signal(signal.SIGSTOP)
                late = time.monotonic() + STOPPED_SECONDS
                connection.request("GET", "/healthz")
                wait_until(lambda late=late: time.monotonic() > late)
                process.send_signal(signal.SIGCONT)
                assert connection.getresponse().read()


@pytest.mark.slow
def test_stopping_under_load_loses_nothing_that_was_acknowledged(service, tmp_path, wait_until):
    acknowledged, refused = [], []
    stop = threading.Event()

    def send(sender):
        headers = service.tokens.headers("ingest")
        with httpx.Client(base_url=service.url, headers=headers, timeout=PATIENCE) as http:
            for number in range(100_000):
                name = f"{sender}-{number}"
                try:
                    answer = http.post(INTERACTIONS, json={**CLICK, "interaction_id": name})
                except httpx.TransportError:
                    return
                (acknowledged if answer.status_code == 200 else refused).append(name)
                if stop.is_set():
                    return

    senders = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for sender in senders:
        sender.start()
    wait_until(lambda: len(acknowledged) > 100)
    service.process.terminate()
    assert service.process.wait(timeout=PATIENCE) == 0
    stop.set()
    for sender in senders:
        sender.join()
    with sqlite3.connect(tmp_path / "log.db") as log:
        stored = {name for (name,) in log.execute("SELECT interaction_id FROM interactions")}
    log.close()
    assert set(acknowledged) <= stored
    assert not any("traceback" in line for line in lines(tmp_path))


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="this system has no prlimit")
def test_a_full_disk_is_503_and_what_was_acknowledged_is_stored(service, tmp_path):
    rows = [{**CLICK, "metadata": {"note": "x" * 500}} for _ in range(200)]
    acknowledged = set()

    def send():
        answer = service.post({"interactions": rows}, f"{INTERACTIONS}/batch")
        if answer.status_code == 200:
            acknowledged.update(each["interaction_id"] for each in answer.json()["results"])
        return answer

    assert send().status_code == 200
    _, hard = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (1_000_000, hard))
    answers = [send() for _ in range(20)]
    assert answers[-1].status_code == 503
    assert answers[-1].headers["retry-after"]
    assert str(tmp_path) not in answers[-1].text
    assert service.get("/healthz").status_code == 200
    resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (hard, hard))
    assert send().status_code == 200
    log = sqlite3.connect(tmp_path / "log.db")
    stored = {name for (name,) in log.execute("SELECT interaction_id FROM interactions")}
    log.close()
    assert stored == acknowledged


@pytest.mark.slow
def test_what_was_acknowledged_is_there_after_a_restart(
    service, tmp_path, started, started_address, client_of
):
    kept = [service.post({**CLICK, "feature_id": f"d{i}"}).json() for i in range(20)]
    service.process.kill()
    service.process.wait()
    with started(tmp_path) as process:
        client = client_of(started_address(process), service.tokens)
        with client.http:
            for each in kept:
                assert client.get(f"{INTERACTIONS}/{each['interaction_id']}").json() == each
        process.terminate()


def test_a_learning_retriever_is_back_after_a_restart(
    service, tmp_path, started, started_address, client_of
):
    base = "/v1/retrievers/r/learned-fusion"
    service.post({"feature_uris": ["text", "image"], "min_lists": 0}, f"{base}/enable")
    before = service.get(f"{base}/weights").json()
    service.process.terminate()
    service.process.wait()
    with started(tmp_path) as process:
        client = client_of(started_address(process), service.tokens)
        with client.http:
            assert client.get(f"{base}/weights").json()["weights"] == before["weights"]
        process.terminate()


def test_logs_tell_routes_and_ids_and_never_what_was_sent(service, tmp_path):
    secret = "s3cr3t-value"  # noqa: S105 - what must not be logged
    row = {
        **CLICK,
        "feature_id": f"{secret}-doc",
        "user_id": f"{secret}-user",
        "session_id": f"{secret}-session",
        "retriever_id": f"{secret}-retriever",
        "query_snapshot": {"text": f"{secret} query"},
        "metadata": {"note": secret},
    }
    kept = service.post(row, headers={"x-request-id": "trace-7"}).json()["interaction_id"]
    service.post({**row, "position": f"{secret}"})
    service.post({"interactions": [row, {"user_id": secret}]}, f"{INTERACTIONS}/batch")
    service.get(f"{INTERACTIONS}/{secret}?{secret}={secret}")
    service.get(f"/v1/{secret}?q={secret}")
    service.get(f"/v1/retrievers/{secret}/learned-fusion/weights/{secret}?session_id={secret}")
    service.delete(f"{INTERACTIONS}/{kept}")
    service.http.get(f"{INTERACTIONS}/i", headers={"authorization": f"Bearer {secret}"})
    service.http.request(secret.upper(), "/healthz")
    service.get("/healthz", headers={"x-request-id": f"{secret} with blanks", "cookie": secret})
    metrics = service.get("/metrics", role="metrics").text
    service.process.terminate()
    assert service.process.wait(timeout=PATIENCE) == 0
    text = (tmp_path / "stderr").read_text()
    for hidden in (secret, secret.upper(), *service.tokens.of.values()):
        assert hidden not in text
        assert hidden not in metrics
    requests = [line for line in lines(tmp_path) if "route" in line]
    assert (
        requests[0].items()
        >= {
            "method": "POST",
            "route": INTERACTIONS,
            "status": 200,
            "request_id": "trace-7",
        }.items()
    )
    assert {"bytes", "milliseconds", "time"} <= requests[0].keys()
    assert "/v1/retrievers/{retriever_id}/learned-fusion/weights/{user_id}" in {
        line["route"] for line in requests
    }


def test_metrics_count_by_route_and_never_by_tenant(service):
    service.post({**CLICK, "retriever_id": "ret-x", "user_id": "user-x"})
    service.get(f"{INTERACTIONS}/unknown")
    answer = service.get("/metrics", role="metrics")
    assert answer.headers["content-type"].startswith("text/plain")
    text = answer.text
    route = f'route="{INTERACTIONS}"'
    assert f'rankloom_requests_total{{method="POST",{route},status="200"}} 1.0' in text
    assert 'rankloom_interactions_total{status="created"} 1.0' in text
    for name in (
        "rankloom_request_seconds_bucket",
        "rankloom_log_queue_rows",
        "rankloom_follower_lag_rows",
        "process_resident_memory_bytes",
    ):
        assert name in text
    assert not any(name in text for name in ("shop", "ret-x", "user-x", "unknown"))


def refused(folder, capsys, *options, log=None, state=None, token_file=None):
    """Run the command where it cannot start; return what it says."""
    with pytest.raises(SystemExit) as ended:
        main(
            [
                *("serve", "--port", "0"),
                *("--log", log or f"sqlite:///{folder}/log.db"),
                *("--state", state or f"sqlite:///{folder}/fusion.db"),
                *("--token-file", str(token_file or folder / "tokens")),
                *options,
            ]
        )
    printed = capsys.readouterr()
    assert ended.value.code == 2
    assert printed.out == ""
    assert printed.err.startswith("error: ")
    assert len(printed.err.splitlines()) == 1
    return printed.err


def damaged(folder):
    (folder / "log.db").write_bytes(b"no database at all" * 1000)
    return {}


def foreign(folder):
    other = sqlite3.connect(folder / "log.db")
    other.execute("CREATE TABLE mine (a)")
    other.commit()
    other.close()
    return {}


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda folder: {"token_file": folder / "none"}, (), "token file"),
        (lambda folder: {"log": f"sqlite:///{folder}/no/folder/log.db"}, (), "folder"),
        (lambda _: {"log": "mysql://x"}, (), "sqlite"),
        (lambda _: {"state": "redis://127.0.0.1:1/0"}, (), ""),
        (damaged, (), ""),
        (foreign, (), ""),
        (lambda _: {}, ("--ranker", "a"), "NAME=DIR"),
        (lambda _: {}, ("--ranker", "a=/no/such/folder"), "folder"),
        (lambda _: {}, ("--host", "256.0.0.1"), "--host"),
        (lambda _: {}, ("--host", "x" * 300), "--host"),
        (lambda _: {}, ("--retention-days", "0"), "retention_days"),
        (lambda _: {}, ("--retention-days", "inf"), "retention_days"),
        (lambda _: {}, ("--open-days", "0"), "open_days"),
        (lambda _: {}, ("--open-days", "nan"), "open_days"),
        (lambda _: {}, ("--publish-every", "-1"), "publish_every"),
        (lambda _: {}, ("--publish-every", "inf"), "publish_every"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_one_line(tmp_path, capsys, change, options, said):
    add_token(tmp_path / "tokens", "shop", "read")
    assert said in refused(tmp_path, capsys, *options, **change(tmp_path))


def test_a_port_that_is_taken_is_said(service, tmp_path, capsys):
    assert "cannot listen" in refused(tmp_path, capsys, "--port", str(service.port))


def test_a_unix_socket_that_a_starting_service_has_bound_is_refused(tmp_path, capsys):
    path = tmp_path / "service.sock"
    with listen_on_path(path):
        said = refused(tmp_path, capsys, "--unix-socket", str(path))
    assert "another service" in said
    assert f"{path}.lock" in said


def test_the_token_command_prints_a_token_once_that_the_service_knows(
    service, tmp_path, wait_until
):
    done = subprocess.run(
        [
            *(sys.executable, "-m", "rankloom", "token", "new", "--namespace", "shop"),
            *("--role", "read", "--token-file", str(tmp_path / "tokens")),
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    token = done.stdout.strip()
    assert token.startswith("rl_")
    assert token not in (tmp_path / "tokens").read_text()
    headers = {"authorization": f"Bearer {token}"}
    wait_until(lambda: service.http.get(f"{INTERACTIONS}/i", headers=headers).status_code == 404)


def test_readiness_is_lost_when_the_log_cannot_be_written_and_comes_back(
    serve_with, tmp_path, monkeypatch, wait_until
):
    look_seconds = "rankloom.service.context.LOOK_SECONDS"
    monkeypatch.setattr(look_seconds, PATIENCE)
    client = serve_with()
    assert client.get("/readyz").status_code == 200
    other = sqlite3.connect(tmp_path / "log.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    monkeypatch.setattr(look_seconds, 0.5)
    wait_until(lambda: client.get("/readyz").status_code == 503)  # answers are cached for a second
    answer = client.get("/readyz")
    other.execute("ROLLBACK")
    other.close()
    assert answer.status_code == 503
    assert answer.json()["error"]["details"]["reasons"]
    assert client.get("/healthz").status_code == 200
    monkeypatch.setattr(look_seconds, PATIENCE)
    wait_until(lambda: client.get("/readyz").status_code == 200)


@pytest.mark.parametrize("module", ["uvicorn", "starlette", "zttp", "prometheus_client"])
def test_without_its_extra_it_says_what_to_install(tmp_path, capsys, monkeypatch, module):
    add_token(tmp_path / "tokens", "shop", "read")
    monkeypatch.setitem(sys.modules, module, None)
    assert "pip install 'rankloom[serve]'" in refused(tmp_path, capsys)


def test_a_sender_in_the_middle_of_a_body_does_not_keep_it_from_ending(serve_with, wait_until):
    """The body's own deadline ends the request, and with it the wait."""
    client = serve_with(body_seconds=1.0, stop_seconds=10 * PATIENCE)
    head = f"POST {INTERACTIONS} HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n"
    token = f"authorization: Bearer {client.tokens.of['ingest']}\r\n"
    with socket.create_connection((client.host, client.port), timeout=PATIENCE) as slow:
        slow.sendall(f"{head}{token}content-type: application/json\r\n\r\n{{".encode())
        # Where this thread stood still, the deadline has passed before.
        wait_until(lambda: client.service.limits.requests or select.select([slow], [], [], 0)[0])
        client.stop()
        assert b" 408 " in slow.recv(65_536)
