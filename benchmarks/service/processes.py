"""The servers of the benchmark as processes: `rankloom serve`, and the bare endpoints."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from socket_client import CHANNELS, Connection, Target, get, post

if TYPE_CHECKING:
    from collections.abc import Iterator

SINGLE = "/v1/retrievers/interactions"
LOGGED, LEARNING = "logged", "learning"
PATIENCE = 300.0


class Running(NamedTuple):
    """A server."""

    target: Target
    process: int
    folder: Path

    def commits(self) -> tuple[int, int]:
        """Return how many rows the log holds, and in how many commits they came."""
        with closing(sqlite3.connect(self.folder / "log.db")) as connection:
            query = "SELECT count(*), count(DISTINCT timestamp) FROM interactions"
            rows, commits = connection.execute(query).fetchone()
        return int(rows), int(commits)

    def statistics(self) -> dict[str, Any]:
        """Return what the learning retriever has learnt."""
        path = f"/v1/retrievers/{LEARNING}/learned-fusion/stats"
        connection = Connection(self.target.port)
        with closing(connection.socket):
            found: dict[str, Any] = json.loads(connection.call(get(path, self.target)))
        return found

    def wait_until_learnt(self) -> None:
        """Wait until nothing more is to be learnt, so that the next load finds a quiet server."""
        deadline = time.monotonic() + PATIENCE
        while self.statistics()["lag"]:
            if time.monotonic() > deadline:
                msg = "the service does not catch up with its log"
                raise RuntimeError(msg)
            time.sleep(0.2)

    def resident(self) -> tuple[int, int]:
        """Return the bytes of memory that the server has, and those of them that are its own.

        The others are pages of files, which the system takes back when it needs them.
        """
        status = Path(f"/proc/{self.process}/status").read_text(encoding="ascii")
        sizes = dict(line.split(":") for line in status.splitlines())
        whole, own = (int(sizes[name].split()[0]) * 1024 for name in ("VmRSS", "RssAnon"))
        return whole, own


@contextmanager
def started(command: list[str], errors: Path | None = None) -> Iterator[tuple[int, str]]:
    """Run a server until the end; yield its process id and the first line that it prints."""
    with (Path("/dev/null") if errors is None else errors).open("ab") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdout is not None
    with process:
        try:
            yield process.pid, process.stdout.readline().strip()
        finally:
            process.terminate()


@contextmanager
def bare(folder: Path) -> Iterator[Running]:
    """Run the bare endpoints over a database in a folder."""
    script = Path(__file__).with_name("bare_endpoints.py")
    command = [sys.executable, str(script), str(folder / "bare.db")]
    with started(command) as (process, line):
        yield Running(Target(int(line)), process, folder)


@contextmanager
def service(folder: Path, python: str = sys.executable) -> Iterator[Running]:
    """Run `rankloom serve` of an interpreter over files in a folder."""
    command = [python, "-m", "rankloom"]
    tokens = ["--namespace", "shop", "--role", "admin", "--token-file", str(folder / "tokens")]
    made = subprocess.run(
        [*command, "token", "new", *tokens], check=True, capture_output=True, text=True
    )
    serve = ["serve", "--port", "0", "--log", f"sqlite:///{folder}/log.db"]
    serve += ["--state", f"sqlite:///{folder}/fusion.db", "--token-file", str(folder / "tokens")]
    with started([*command, *serve], folder / "stderr") as (process, line):
        port = int(line.rpartition(":")[2])
        yield Running(Target(port, made.stdout.strip()), process, folder)


def enable(target: Target) -> None:
    """Let a retriever learn."""
    path = f"/v1/retrievers/{LEARNING}/learned-fusion/enable"
    connection = Connection(target.port)
    with closing(connection.socket):
        connection.call(post(path, {"feature_uris": CHANNELS}, target))
