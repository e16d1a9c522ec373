"""A Spark Connect server in a process of its own, without a JVM, and its session."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import warnings
from importlib.machinery import ModuleSpec

import pytest

SERVER = textwrap.dedent("""
    import sys
    from pysail.spark import SparkConnectServer

    server = SparkConnectServer("127.0.0.1", 0)
    server.start(background=True)
    print(server.listening_address[1], flush=True)
    sys.stdin.read()
""")


@pytest.fixture(scope="session")
def main_module():
    """Give pytest-xdist's workers a main module with a specification.

    PySpark's client takes a process without one for a run of its own doctests, and ends it.
    """
    main = sys.modules["__main__"]
    with pytest.MonkeyPatch.context() as patch:
        if main.__spec__ is None:
            patch.setattr(main, "__spec__", ModuleSpec("__main__", None))
        yield


@pytest.fixture(scope="session")
def spark(main_module):  # noqa: ARG001 - a fixture of a fixture
    """A session of PySpark's client with the server."""
    reason = "needs pysail and pyspark-client, which have no wheel for this Python"
    pytest.importorskip("pysail", reason=reason)
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "PySpark does not yet fully support pandas", FutureWarning
        )
        sql = pytest.importorskip("pyspark.sql", reason=reason)
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "SAIL_EXECUTION__DEFAULT_PARALLELISM": "2"},
            text=True,
        )
        with process:
            port = process.stdout.readline().strip()
            session = sql.SparkSession.builder.remote(f"sc://127.0.0.1:{port}").getOrCreate()
            yield session
            session.stop()
            process.stdin.close()
