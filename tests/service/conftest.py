"""Running services for the tests: a process as users start it, and one with settings of its own."""

import contextlib
import secrets
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

from rankloom.service.http.tokens import add_token, digest_of

ROLES = ("ingest", "read", "admin", "metrics")
INTERACTIONS = "/v1/retrievers/interactions"
TENANTS = 500
PATIENCE = 120.0
"""Seconds after which what has to come does not come: machines stand still for a while."""


class Tokens:
    """A token of every role in a namespace."""

    def __init__(self, namespace, of):
        self.namespace, self.of = namespace, of

    @classmethod
    def added(cls, path, namespace):
        return cls(namespace, {role: add_token(path, namespace, role) for role in ROLES})

    def headers(self, role):
        return {"authorization": f"Bearer {self.of[role]}"}


class Client:
    """A service, as callers of each role see it."""

    def __init__(self, url, tokens):
        self.url, self.tokens = url, tokens
        self.host, _, port = url.removeprefix("http://").rpartition(":")
        self.port = int(port)
        # Servers hang up on idle connections after 5 seconds, as clients do where nothing is said:
        # a request at that moment would meet the end of its connection.
        limits = httpx.Limits(keepalive_expiry=1.0)
        self.http = httpx.Client(base_url=url, timeout=PATIENCE, limits=limits)

    def send(self, method, path, role="admin", **options):
        headers = {**self.tokens.headers(role), **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    def post(self, body, path=INTERACTIONS, **options):
        return self.send("POST", path, json=body, **options)

    def get(self, path, **options):
        return self.send("GET", path, **options)

    def delete(self, path, **options):
        return self.send("DELETE", path, **options)


def start(folder, *options, token_file=None, program=("-m", "rankloom")):
    """Start `rankloom serve` as a process; its logs go to a file."""
    with (Path(folder) / "stderr").open("ab") as errors:
        process = subprocess.Popen(
            [
                *(sys.executable, *program, "serve", "--port", "0"),
                *("--log", f"sqlite:///{folder}/log.db"),
                *("--state", f"sqlite:///{folder}/fusion.db"),
                *("--token-file", str(token_file or f"{folder}/tokens")),
                *options,
            ],
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        process.errors = Path(folder) / "stderr"
        return process


def address(process):
    """Return the URL that a started service prints."""
    line = process.stdout.readline()
    assert line.startswith("serving on http://"), process.errors.read_text()[-2000:]
    return line.split()[-1]


@contextlib.contextmanager
def running(folder, *options):
    """Run a service process and stop it in good order."""
    with start(folder, *options) as process:
        try:
            yield process, address(process)
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


@pytest.fixture(scope="session")
def service_process(tmp_path_factory):
    """Folder, URL and unused tenants of a service that all tests share."""
    folder = tmp_path_factory.mktemp("service")
    tenants = [tenant(f"tenant-{number}") for number in range(TENANTS)]
    lines = "".join(lines for lines, _ in tenants)
    (folder / "tokens").write_text(lines)
    with running(folder) as (process, url):
        yield folder, url, [tokens for _, tokens in tenants]
        assert process.poll() is None, (folder / "stderr").read_text()[-2000:]
    assert process.returncode == 0


@pytest.fixture
def client(service_process):
    """Callers of each role in a fresh namespace."""
    yield from _fresh_client(service_process)


@pytest.fixture
def stranger(service_process):
    """Callers of each role in another namespace."""
    yield from _fresh_client(service_process)


def tenant(namespace):
    """Return lines for a token file, and the tokens: many at once are written faster so."""
    made = {role: secrets.token_urlsafe(32) for role in ROLES}
    lines = [f"{digest_of(made[role]).decode()} {namespace} {role}\n" for role in ROLES]
    return "".join(lines), Tokens(namespace, made)


def _fresh_client(service_process):
    _, url, tenants = service_process
    client = Client(url, tenants.pop())
    with client.http:
        yield client


@pytest.fixture
def serve_with(tmp_path):
    """A function that runs a service in this process, with settings that a test needs."""
    from rankloom.service import ServiceSettings
    from rankloom.service.context import ServiceContext
    from rankloom.service.server import Server, listen

    with contextlib.ExitStack() as stack:

        def serve(**settings):
            tokens = Tokens.added(tmp_path / "tokens", "shop")
            given = {
                "log": f"sqlite:///{tmp_path}/log.db",
                "state": f"sqlite:///{tmp_path}/fusion.db",
                "token_file": tmp_path / "tokens",
                # No deadline passes but those that a test sets.
                **dict.fromkeys(("body_seconds", "request_seconds"), PATIENCE),
                **settings,
            }
            service = ServiceContext(ServiceSettings(**given))
            listening = stack.enter_context(listen("127.0.0.1", 0))
            ready = threading.Event()
            urls = []
            server = Server(service, listening, lambda url: (urls.append(url), ready.set()))
            thread = threading.Thread(target=server.run_until_stopped)
            thread.start()

            def stop():
                server.stop()
                thread.join(timeout=PATIENCE)
                assert not thread.is_alive()

            stack.callback(stop)
            assert ready.wait(PATIENCE)
            client = Client(urls[0], tokens)
            stack.callback(client.http.close)
            client.service, client.stop = service, stop
            return client

        yield serve


@pytest.fixture(scope="session")
def wait_until():
    """A function that waits until something holds, returns it, and fails where it never does."""

    def wait_until(condition):
        deadline = time.monotonic() + PATIENCE
        # Looked at once more after the time is over: all of it may have passed in one step.
        while not (found := condition()):
            assert time.monotonic() < deadline or condition(), "it never came to hold"
            time.sleep(0.02)
        return found

    return wait_until


@pytest.fixture(scope="session")
def started():
    """`start`, for tests that run processes of their own."""
    return start


@pytest.fixture(scope="session")
def started_address():
    """`address`, for the same."""
    return address


@pytest.fixture(scope="session")
def tokens_for():
    """`Tokens.added`, for the same."""
    return Tokens.added


@pytest.fixture(scope="session")
def client_of():
    """`Client`, for the same."""
    return Client


@pytest.fixture(scope="session")
def ranker_folder(tmp_path_factory):
    """A small trained ranker, f0 among its features."""
    from rankloom.datasets import load_pairs, simulate_catalogue, simulate_interactions
    from rankloom.ltr import Ranker

    documents = simulate_catalogue(n_queries=50, random_state=0)
    log = simulate_interactions(documents, n_executions=500, random_state=0)
    pairs = load_pairs(log, features=documents.drop("query", "grade"), builtin_features=())
    folder = tmp_path_factory.mktemp("ranker")
    Ranker("none", n_jobs=1, n_estimators=30).fit(pairs).save(folder)
    return folder
