"""Hypothesis judges what is generated, not how fast: a machine may be busy.

Profile ``fast``: at most 25 examples a test. Profile ``ci``, where the variable CI is set: as many
as the test says, 100 by default. Both generate the same examples in every run, so that a change is
judged by what it changed. Profile ``explore``, by RANKLOOM_TEST_EXPLORE=N: N random examples.
"""

import contextlib
import gc
import os
import shutil
import signal
import subprocess
import tempfile
import time
import uuid
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.dask_cluster import dask_client, in_one_process

__all__ = ["dask_client"]
LONG_FILES = {"docs", "service", "distributed", "log_follower", "store", "test_auto.py"}
"""Folders and files whose tests start processes or train many models."""
MAX_FAST_EXAMPLES = 25
EXPLORED = int(os.environ.get("RANKLOOM_TEST_EXPLORE", "0"))
PATIENT = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow], "print_blob": True}
SAME = {**PATIENT, "derandomize": True, "database": None}
settings.register_profile("ci", **SAME)
settings.register_profile("fast", **SAME, max_examples=MAX_FAST_EXAMPLES)
settings.register_profile("explore", **PATIENT, max_examples=EXPLORED or 100)
PROFILE = "explore" if EXPLORED else "ci" if os.environ.get("CI") else "fast"
settings.load_profile(PROFILE)


def pytest_collection_finish():
    """Keep what all tests import out of every later collection of garbage."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure():
    """Let extensions that look for leaks at the end find none."""
    gc.unfreeze()


def pytest_collection_modifyitems(items):
    """Begin with the files that take longest: the last ones decide when all workers are done."""
    items.sort(key=lambda item: LONG_FILES.isdisjoint(item.path.parts))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """Give each process whole files; one of them all that use the cluster; pages singly."""
    if config.getvalue("dist") != "loadfile":
        return None
    from xdist.scheduler import LoadFileScheduling

    class Scheduling(LoadFileScheduling):
        def _split_scope(self, nodeid):
            if in_one_process(nodeid):
                return "dask"
            return nodeid if nodeid.startswith("tests/docs/") else super()._split_scope(nodeid)

    return Scheduling(config, log)


def pytest_itemcollected(item):
    """Let the profile's number of examples also hold for the tests that state their own."""
    own = getattr(getattr(item, "obj", None), "_hypothesis_internal_use_settings", None)
    if own and PROFILE != "ci":
        examples = EXPLORED or min(own.max_examples, MAX_FAST_EXAMPLES)
        item.obj._hypothesis_internal_use_settings = settings(own, max_examples=examples)


@pytest.fixture(scope="session")
def postgres_server():
    """The URL of a database: RANKLOOM_TEST_POSTGRES_URL, or one that is started for the tests.

    Its role owns the database and is no superuser: those see rows of all namespaces.
    """
    pytest.importorskip("psycopg_pool", reason="psycopg is not installed")
    given = os.environ.get("RANKLOOM_TEST_POSTGRES_URL")
    if given:
        yield given
        return
    with PostgresServer() as server:
        yield server.url


@pytest.fixture
def postgres_schema(postgres_server):
    """A function that returns URLs of schemas, each of them empty; they are dropped at the end."""
    yield from _schemas(postgres_server)


@pytest.fixture(scope="module")
def module_postgres_schema(postgres_server):
    """The same for the tests of a module together."""
    yield from _schemas(postgres_server)


@pytest.fixture(scope="session")
def shared_postgres_url(postgres_server):
    """The URL of a schema that tests share which have namespaces of their own."""
    for schema in _schemas(postgres_server):
        yield schema()


@pytest.fixture
def postgres_url(postgres_schema):
    """The URL of an empty schema."""
    return postgres_schema()


def _schemas(server):
    import psycopg

    names = []

    def schema():
        names.append(f"t{uuid.uuid4().hex}")
        return f"{server}{'&' if '?' in server else '?'}schema={names[-1]}"

    yield schema
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute("SET client_min_messages = warning")
        for name in names:
            connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")


class PostgresServer:
    """A PostgreSQL server on a socket in a folder, which does not wait for the disk."""

    def __init__(self):
        found = shutil.which("initdb")
        folders = (
            [Path(found).parent] if found else sorted(Path("/usr/lib/postgresql").glob("*/bin"))
        )
        if not folders:
            pytest.skip("PostgreSQL is not installed, and RANKLOOM_TEST_POSTGRES_URL not set")
        self.programs = folders[-1]
        # Short, for it is the path of a socket too; and open to the user that the server runs as.
        self.folder = Path(tempfile.mkdtemp(prefix="rankloom-pg-"))
        self.url = f"postgresql:///rankloom?host={self.folder}&user=rankloom"
        self.process = None

    def __enter__(self):
        try:
            self._make()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self, *options):
        command = [self.programs / "postgres", "-D", self.folder / "data", "-k", self.folder]
        for each in ("listen_addresses=", "fsync=off", "max_connections=200", *options):
            command += ["-c", each]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(self._as_user(command), stdout=log, stderr=log)
        self._wait()

    def stop(self):
        if self.process is not None:
            self.process.send_signal(signal.SIGINT)  # SIGTERM would wait for every client
            self.process.wait()

    def _make(self):
        if os.geteuid() == 0:
            shutil.chown(self.folder, "nobody")
        options = ["--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C", "-N"]
        command = [self.programs / "initdb", "-D", self.folder / "data", *options]
        subprocess.run(self._as_user(command), check=True, capture_output=True)

    def _wait(self):
        import psycopg

        admin = f"postgresql:///postgres?host={self.folder}&user=postgres"
        deadline = time.monotonic() + 120.0
        while time.monotonic() < deadline:
            with (
                contextlib.suppress(psycopg.OperationalError),
                psycopg.connect(admin, autocommit=True) as connection,
            ):
                if not connection.execute(
                    "SELECT 1 FROM pg_roles WHERE rolname = 'rankloom'"
                ).fetchall():
                    connection.execute("CREATE ROLE rankloom LOGIN")
                    connection.execute("CREATE DATABASE rankloom OWNER rankloom")
                return
            assert self.process.poll() is None, (self.folder / "log").read_text()
            time.sleep(0.02)
        pytest.fail((self.folder / "log").read_text())

    def _as_user(self, command):
        """Return a command as PostgreSQL takes it: it refuses to run as root."""
        if os.geteuid() != 0:
            return command
        program = shutil.which("setpriv")
        if program is None:
            pytest.skip("PostgreSQL does not run as root; set RANKLOOM_TEST_POSTGRES_URL")
        return [program, "--reuid=nobody", "--regid=nogroup", "--clear-groups", *command]


@pytest.fixture
def axes():
    """Axes of matplotlib that pyplot knows nothing of."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(layout="constrained")
    FigureCanvasAgg(figure)  # so that drawing renders; without it a figure's canvas does nothing
    return figure.add_subplot()
