"""Stores for the tests: an SQLite file, PostgreSQL, and a Redis server of our own where needed."""

import contextlib
import os
import shutil
import subprocess
import time
import uuid

import pytest


@pytest.fixture(scope="session")
def redis_url(tmp_path_factory):
    """A server to write into: RANKLOOM_TEST_REDIS_URL, or one that is started for the tests."""
    pytest.importorskip("redis", reason="redis-py is not installed")
    given = os.environ.get("RANKLOOM_TEST_REDIS_URL")
    if given:
        yield given
        return
    with RedisServer(tmp_path_factory.mktemp("redis")) as server:
        yield server.url


@pytest.fixture
def redis_server(tmp_path):
    """A server of the test's own, to be stopped and starved."""
    pytest.importorskip("redis", reason="redis-py is not installed")
    with RedisServer(tmp_path) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgres", "redis"])
def store_url(request, tmp_path):
    """The address of an empty store, of each kind."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/fusion.db"
    if request.param == "postgres":
        return request.getfixturevalue("shared_postgres_url")
    return request.getfixturevalue("redis_url")


@pytest.fixture
def namespace():
    """A name that no other test uses."""
    return uuid.uuid4().hex


class RedisServer:
    """A redis-server on a socket in a folder."""

    def __init__(self, folder):
        self.program = shutil.which("redis-server")
        if self.program is None:
            pytest.skip("redis-server is not on the path, and RANKLOOM_TEST_REDIS_URL not set")
        self.folder = folder
        # Paths of sockets are short by law of the system.
        self.socket = os.path.relpath(folder / "redis.sock")
        if len(str(folder / "redis.sock")) < 100:
            self.socket = folder / "redis.sock"
        self.url = f"unix://{self.socket}?db=0"
        self.process = None

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()

    def start(self, *options):
        settings = ["--port", "0", "--unixsocket", str(self.folder / "redis.sock"), "--save", ""]
        settings += ["--dir", str(self.folder), "--logfile", str(self.folder / "redis.log")]
        self.process = subprocess.Popen(
            [self.program, *settings, "--appendonly", "yes", "--appendfsync", "always", *options],
            stdout=subprocess.DEVNULL,
        )
        import redis

        deadline = time.monotonic() + 120.0
        with redis.Redis.from_url(self.url) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(redis.exceptions.RedisError):
                    client.ping()
                    return
                time.sleep(0.02)
        pytest.fail((self.folder / "redis.log").read_text(encoding="utf-8"))

    def stop(self):
        self.process.kill()
        self.process.wait()
