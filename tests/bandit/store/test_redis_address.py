"""URLs of Redis servers: secrets stay out of every text, and what is not understood is refused."""

import socket
import threading
from contextlib import closing, contextmanager
from urllib.parse import quote

import pytest

from rankloom.bandit import FusionWeights, open_store
from rankloom.bandit.store.redis_address import RedisAddress
from rankloom.errors import InvalidInputError, StoreError

PIECES = ["Xq7Lw", "Zk9Rd", "Wm3Hv", "Vt5Jb", "Hj2Pn", "Pl8Tg", "Nb4Yc", "Rs6Fm", "Kd0Uz", "Gf1Qe"]
SECRET = "".join(piece + mark for piece, mark in zip(PIECES, "@/:#?%[=& ", strict=True))
PLACE = "127.0.0.1:1/0"


def leaked(text):
    return [piece for piece in PIECES if piece in text]


def texts_about(url):
    """Return what there is to read of a URL before and after a call over it."""
    try:
        with open_store(url, timeout=0.2) as store:
            texts = [repr(store), store.url, str(vars(store))]
            if url.startswith("unix://"):
                store.load()
    except (InvalidInputError, StoreError) as error:
        return [str(error), repr(error)]
    return texts


@pytest.mark.parametrize("scheme", ["redis", "rediss", "unix", "postgres", "sqlite"])
@pytest.mark.parametrize("form", ["{}@", "me:{}@", ":{}@", "me:{}:more@"])
def test_no_part_of_a_secret_is_in_any_text(scheme, form):
    """Whatever characters it holds, and whether or not the URL is understood."""
    secrets = [SECRET, quote(SECRET, safe=""), *(mark.join(PIECES) for mark in "@/:#?%[=&")]
    place = "/none/redis.sock" if scheme == "unix" else PLACE
    for secret in secrets:
        for url in (
            f"{scheme}://{form.format(secret)}{place}",
            f"{form.format(secret)}{place}",
            f"{scheme}://{place}?password={secret}",
            f"{scheme}://{place}?pass={secret}@x",
            f"{scheme}://me:{PIECES[0]}",
        ):
            if scheme != "sqlite" or "?" not in url:
                assert leaked("".join(texts_about(url))) == [], url


def test_a_watcher_logs_no_secret(caplog):
    store = open_store(f"redis://:{quote(SECRET, safe='')}@{PLACE}", timeout=0.2)
    with FusionWeights.watch(store, ["a", "b"], every=600):
        pass
    assert "does not load" in caplog.text
    assert leaked(caplog.text) == []


@pytest.mark.parametrize(
    ("url", "settings"),
    [
        ("redis://host", {"host": "host", "port": 6379, "db": 0}),
        ("redis://host:6380/2", {"host": "host", "port": 6380, "db": 2}),
        ("redis://host?db=3", {"host": "host", "port": 6379, "db": 3}),
        ("redis://[::1]:7/1", {"host": "::1", "port": 7, "db": 1}),
        ("unix:///run/r.sock?db=4", {"unix_socket_path": "/run/r.sock", "db": 4}),
        ("unix://me:pw@/a%20b/r.sock", {"unix_socket_path": "/a b/r.sock", "db": 0}),
        (f"redis://me:{quote(SECRET, safe='')}@host", {"username": "me", "password": SECRET}),
        ("redis://svc:s3cr@t@host/0", {"password": "s3cr@t", "host": "host"}),
        ("redis://host?username=me&password=a%40b", {"username": "me", "password": "a@b"}),
        ("rediss://host?ssl_cert_reqs=none", {"ssl": True, "ssl_cert_reqs": "none"}),
        ("redis://host?socket_keepalive=True&client_name=x", {"socket_keepalive": True}),
    ],
)
def test_what_a_url_says_reaches_the_client(url, settings):
    found = RedisAddress.of(url).settings
    assert {name: found[name] for name in settings} == settings


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("redis://host?decode_responses=True", "leave decode_responses out"),
        ("redis://host?unknown=1", "unknown option 'unknown'; known ones are client_name, db,"),
        ("redis://host?socket_timout=1", "Did you mean 'socket_timeout'"),
        ("redis://host?ssl_cert_reqs=none", "ssl_cert_reqs is an option of rediss:// only"),
        ("rediss://host?ssl_cert_reqs=maybe", "ssl_cert_reqs has no valid value, got 'maybe'"),
        ("redis://host?socket_timeout=0", "socket_timeout has no valid value, got '0'"),
        ("redis://host?socket_keepalive=perhaps", "socket_keepalive has no valid value"),
        ("redis://host?db=-1", "db has no valid value"),
        ("redis://host?db=1&db=2", "db is given twice"),
        ("redis://host/1?db=2", "the path names the database 1, the option db 2"),
        ("redis://host?db", "url: expected redis://"),
        ("redis://host/name", "url: expected redis://.*got 'redis://host/name'"),
        ("redis://host:port/0", "url: expected redis://"),
        ("redis://host:0", "url: expected redis://"),
        ("redis://host/0#part", "url: expected redis://"),
        ("redis://me:a/b@host/0", "must be percent-encoded"),
        ("unix://folder/redis.sock", "url: expected redis://"),
    ],
)
def test_what_is_not_understood_is_refused_at_once(url, message):
    with pytest.raises(InvalidInputError, match=message):
        open_store(url)


@contextmanager
def silent_server(connections):
    """Accept connections on a port and never answer."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:

        def accept():
            while True:
                try:
                    connections.append(listener.accept()[0])
                except OSError:
                    return

        thread = threading.Thread(target=accept)
        thread.start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)
    thread.join()
    for each in connections:
        each.close()


@pytest.mark.parametrize("options", ["", "?socket_timeout=600", "?socket_connect_timeout=600"])
def test_a_call_waits_for_one_timeout_and_is_not_tried_again(options):
    """A second attempt would wait for a second timeout."""
    connections = []
    with silent_server(connections) as port:
        store = open_store(f"redis://127.0.0.1:{port}/0{options}", timeout=0.2)
        for attempt, call in enumerate((store.load, store.get_snapshot, store.log_position), 1):
            with pytest.raises(StoreError, match="(?i)timeout"):
                call()
            assert len(connections) == attempt
        store.close()
